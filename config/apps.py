"""Django's entry for settings checks and the commands that start processes."""

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Registers system checks and commands of `config`."""

    name = "config"

    def ready(self) -> None:
        """Register the checks."""
        from config import celery, checks  # noqa: F401  # the Celery app is every process's, or tasks go to amqp://localhost

        checks.register_all()
