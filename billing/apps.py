"""Django's entry for the app."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """Registers `billing`."""

    name = "billing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the receivers, which need the models."""
        from billing import erasing  # noqa: F401  # importing it is what connects it
