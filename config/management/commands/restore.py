"""`manage.py restore FILE --into NAME`: a backup into a new database beside the present one."""

import os
from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from config.backup import restore


class Command(BaseCommand):
    """Never touches the database in use: it is left to the operator to point DATABASE_URL at the new one."""

    help = "Make database NAME from FILE, then say how to use it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The file and the new database."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--into", required=True, metavar="NAME")

    def handle(self, *args: object, file: Path, into: str, **options: object) -> None:
        """Restore it."""
        if not file.is_file():
            raise CommandError(f"{file} is no file: name one that `manage.py backup` wrote")
        restore(os.environ["DATABASE_OWNER_URL"], file, into)
        self.stdout.write(
            f"restored into {into}: run `verify_audit` on it, then point DATABASE_URL and the owner's at it"
        )
