"""Django's entry for the app."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """Registers `billing`."""

    name = "billing"
    default_auto_field = "django.db.models.BigAutoField"
