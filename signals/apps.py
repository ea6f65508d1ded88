"""Django's entry for the app."""

from django.apps import AppConfig


class SignalsConfig(AppConfig):
    """Registers `signals`."""

    name = "signals"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the receivers."""
        from signals import receivers, rights  # noqa: F401  # importing connects them
