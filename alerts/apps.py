"""Django's entry for the app."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    """Registers `alerts`."""

    name = "alerts"
    default_auto_field = "django.db.models.BigAutoField"
