"""`manage.py rotate_secrets`: seal stored secrets under the newest key of SECRETS_KEYS while the site runs."""

from django.core.management.base import BaseCommand, CommandError

from accounts.sealed import rotate
from lib.sealing import SealingError


class Command(BaseCommand):
    """Seals anew what is not under the newest key; afterwards the older keys can be taken away."""

    help = "Seal every stored secret under the first key of SECRETS_KEYS; run it after putting a new key in front."

    def handle(self, *args: object, **options: object) -> None:
        """Rotate, and say how many rows it was."""
        try:
            done = rotate()
        except SealingError as error:
            raise CommandError(f"rotation stopped: {error}") from error
        self.stdout.write(f"{done} secrets sealed under the newest key")
