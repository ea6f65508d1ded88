"""Backups (security row S35): encrypted, whole or refused, and restored to the same rows behind the same walls."""

import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from psycopg import sql
from pytest_django import Settings

from config.backup import BackupError, restore, take
from config.embedded import APP, OWNER
from lib.sealed_files import MAGIC, PIECE, open_file, seal_file
from lib.sealing import SealingError, new_key
from tests.database import connect, drop_database
from tests.people import Person

whole = pytest.mark.django_db(transaction=True)


def opened(data: bytes) -> bytes:
    return b"".join(open_file(io.BytesIO(data)))


def sealed(data: bytes) -> bytes:
    target = io.BytesIO()
    assert seal_file(io.BytesIO(data), target) == len(data)
    return target.getvalue()


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_what_is_sealed_opens_again(size: int) -> None:
    data = os.urandom(size)
    assert opened(sealed(data)) == data
    assert sealed(data) != sealed(data)


def test_a_changed_cut_or_reordered_file_does_not_open() -> None:
    data = sealed(os.urandom(3 * PIECE))
    head = len(MAGIC) + 24
    size = PIECE + 16
    pieces = [data[head + at * size : head + (at + 1) * size] for at in range(3)]
    spoiled = [
        data[:-1],
        data[:head] + pieces[0] + pieces[1],
        data[:head] + pieces[1] + pieces[0] + pieces[2],
        data[:head] + pieces[0] + pieces[0] + pieces[2],
        data[: head + 5] + bytes([data[head + 5] ^ 1]) + data[head + 6 :],
        data[: head - 1] + bytes([data[head - 1] ^ 1]) + data[head:],
        b"something else",
        b"",
    ]
    for each in spoiled:
        with pytest.raises(SealingError):
            opened(each)


def test_a_key_that_is_gone_is_named(settings: Settings) -> None:
    data = sealed(b"x")
    settings.SECRETS_KEYS = [new_key()]
    with pytest.raises(SealingError, match="SECRETS_KEYS"):
        opened(data)


def rows(name: str = "") -> dict[str, Any]:
    """Every table's rows, as text in order, and every policy, of one database."""
    with connect(OWNER, name) as raw:
        raw.execute("SELECT set_config('app.operator', 'on', false)")
        tables = raw.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
            " AND NOT relispartition ORDER BY relname"
        ).fetchall()
        found: dict[str, Any] = {
            table: raw.execute(sql.SQL("SELECT t::text FROM {} t ORDER BY 1").format(sql.Identifier(table))).fetchall()
            for (table,) in tables
        }
        found["policies"] = raw.execute("SELECT tablename, policyname, qual FROM pg_policies ORDER BY 1, 2").fetchall()
        found["rights"] = raw.execute(
            "SELECT relname, coalesce(relacl, acldefault(lower(replace(relkind::text, 'p', 'r'))::\"char\", relowner))"
            "::text,"
            " relrowsecurity, relforcerowsecurity FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S') ORDER BY 1"
        ).fetchall()
    return found


@pytest.fixture
def name() -> Iterator[str]:
    """A name for a database that is gone afterwards."""
    chosen = f"candor_test_restored_{os.getpid()}"
    yield chosen
    with connect(OWNER) as server:
        drop_database(server, chosen)


@whole
def test_a_backup_brings_everything_back(owner: Person, stranger: Person, name: str, tmp_path: Path) -> None:
    file = tmp_path / "backups" / "candor.sealed"
    call_command("backup", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = file.read_bytes()
    assert content.startswith(MAGIC)
    assert b"PGDMP" not in content
    assert owner.user.email.encode() not in content
    before = rows()
    call_command("restore", str(file), "--into", name)
    after = rows(name)
    assert set(after["rights"]) ^ set(before["rights"]) == set()
    assert {table: after[table] for table in before} == before
    with connect(APP, name) as raw:
        assert raw.execute("SELECT count(*) FROM accounts_organization").fetchall() == [(0,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            raw.execute("DELETE FROM accounts_auditentry")
    assert [path.name for path in file.parent.iterdir()] == ["candor.sealed"]


@whole
def test_nothing_is_left_of_what_fails(owner: Person, name: str, tmp_path: Path) -> None:
    file = tmp_path / "candor.sealed"
    take(os.environ["DATABASE_OWNER_URL"], file)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(SealingError, match="cut off"):
        restore(os.environ["DATABASE_OWNER_URL"], file, name)
    with connect(OWNER) as server:
        assert server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchall() == []
    with pytest.raises(BackupError, match="there already"):
        restore(os.environ["DATABASE_OWNER_URL"], file, "postgres")
    with pytest.raises(CommandError, match="is no file"):
        call_command("restore", str(tmp_path / "nothing"), "--into", name)
    missing = os.environ["DATABASE_OWNER_URL"].replace("candor_test_", "candor_no_")
    with pytest.raises((BackupError, psycopg.OperationalError)):
        take(missing, tmp_path / "other.sealed")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["candor.sealed"]
