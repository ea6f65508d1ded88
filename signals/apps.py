"""Django's entry for the app."""

from django.apps import AppConfig


class SignalsConfig(AppConfig):
    """Registers `signals`."""

    name = "signals"
    default_auto_field = "django.db.models.BigAutoField"
