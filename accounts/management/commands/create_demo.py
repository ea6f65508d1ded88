"""`manage.py create_demo`: an organization to look at, and the logins to look with."""

from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand

from accounts.demo import create_demo, demo_logins


class Command(BaseCommand):
    """Makes the demo organization, its owner and an operator; prints their logins when it made them."""

    help = "Create the demo organization (Desk plan), its owner and an operator, and print their logins once."

    def handle(self, *args: object, **options: object) -> None:
        """Create what is missing; a second run changes and prints nothing but where the logins are."""
        path = Path(settings.VAR_DIR) / "demo_logins.json"
        logins = demo_logins(path)
        for email in create_demo(logins):
            self.stdout.write(f"  {email}  {logins[email]}")
        self.stdout.write(f"Demo logins are kept in {path}")
