"""Django's entry for the app."""

from django.apps import AppConfig


class MarketsConfig(AppConfig):
    """Registers `markets`."""

    name = "markets"
    default_auto_field = "django.db.models.BigAutoField"
