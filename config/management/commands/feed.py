"""`manage.py feed`: the feed process of an installation with separate processes."""

import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.processes import Platform
from lib.errors import CandorError


class Command(BaseCommand):
    """Open the market, load history, train once where nothing is trained, and follow every minute."""

    help = "Follow the market; workers decide what it stores."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM or Ctrl-C."""
        try:
            platform = Platform(say=self.stdout.write, alone=False)
        except CandorError as error:
            raise CommandError(str(error)) from error
        signal.signal(signal.SIGTERM, lambda *_: platform.stop())
        platform.start()
        try:
            platform.wait()
        except KeyboardInterrupt:
            self.stdout.write("stopping")
        finally:
            platform.stop()
        if platform.failed:
            raise CommandError("the market cannot be opened: see the line above")
