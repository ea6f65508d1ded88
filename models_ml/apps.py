"""Django's entry for the app."""

from django.apps import AppConfig


class ModelsMlConfig(AppConfig):
    """Registers `models_ml`."""

    name = "models_ml"
    default_auto_field = "django.db.models.BigAutoField"
