"""Django's entry for the app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Registers `accounts`."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the receivers, which need the models."""
        from accounts import receivers  # noqa: F401  # importing it connects them
