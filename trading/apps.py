"""Django's entry for the app."""

from django.apps import AppConfig


class TradingConfig(AppConfig):
    """Registers `trading`."""

    name = "trading"
    default_auto_field = "django.db.models.BigAutoField"
