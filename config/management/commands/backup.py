"""`manage.py backup FILE`: the whole database in one encrypted file."""

import os
from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand

from accounts.audit import operator_work
from config.backup import take


class Command(BaseCommand):
    """Takes a backup while the site runs; it is consistent as of its start."""

    help = "Write the whole database, encrypted under the newest of SECRETS_KEYS, to FILE (mode 0600)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The file."""
        parser.add_argument("file", type=Path)

    def handle(self, *args: object, file: Path, **options: object) -> None:
        """Take it, on the record."""
        with operator_work("command:backup", f"back up to {file.name}"):
            pass
        size = take(os.environ["DATABASE_OWNER_URL"], file)
        self.stdout.write(
            f"{file}: {size:,} bytes of dump, sealed. Keep SECRETS_KEYS elsewhere: it opens with them alone."
        )
