"""A database of the first release, with rows in it, becomes one of today: what an installation's next start does."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from config.embedded import OWNER, ROLE_SQL
from tests.database import connect, drop_database

ROOT = Path(__file__).parents[2]
ROWS = """
SELECT set_config('app.operator', 'on', false);
INSERT INTO accounts_user (id, password, is_superuser, email, name, is_active, is_staff, date_joined)
  VALUES (1, '!', false, 'ada@lovelace.example', 'Ada', true, false, now());
INSERT INTO accounts_organization (id, slug, name, plan, created_at) VALUES (1, 'a', 'Engines', 'free', now());
INSERT INTO accounts_membership (organization_id, user_id, role, created_at) VALUES (1, 1, 'owner', now());
INSERT INTO accounts_auditentry (id, at, actor, action, details, organization_id, user_id) VALUES
  (gen_random_uuid(), now(), 'ada@lovelace.example', 'organization.founded', '{"name": "Engines"}', 1, 1),
  (gen_random_uuid(), now(), 'ada@lovelace.example', 'member.invited', '{"email": "b@c.example"}', 1, 1),
  (gen_random_uuid(), now(), 'task:x', 'operator.work', '{"reason": "y"}', NULL, NULL);
"""


@pytest.fixture
def old(db: None) -> Iterator[str]:
    """The URL, as the owner, of a database that is migrated up to the first release's accounts."""
    name = f"candor_test_old_{os.getpid()}"
    with connect(OWNER) as server:
        server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        with connect(OWNER, name) as fresh:
            fresh.execute(ROLE_SQL)
        yield urlsplit(os.environ["DATABASE_OWNER_URL"])._replace(path=f"/{name}").geturl()
        drop_database(server, name)


def migrate(url: str, *to: str) -> None:
    """As `make run` does it: in a process of its own, as the owner."""
    environment = os.environ | {"DATABASE_OWNER_URL": url, "CANDOR_DB_AS_OWNER": "1"}
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0", *to]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_rows_of_the_first_release_are_carried_over(old: str) -> None:
    migrate(old, "accounts", "0001_initial")
    with psycopg.connect(old, autocommit=True) as raw:
        raw.execute(ROWS)
    migrate(old)
    with psycopg.connect(old, autocommit=True) as raw:
        raw.execute("SELECT set_config('app.operator', 'on', false)")
        found: list[tuple[Any, ...]] = raw.execute(
            "SELECT chain, number, actor, action, personal, length(hash)"
            " FROM accounts_auditentry ORDER BY chain, number"
        ).fetchall()
    assert [row[:2] for row in found] == [(0, 1), (1, 1), (1, 2)]
    assert [row[5] for row in found] == [64, 64, 64]
    assert {row[2] for row in found} == {"task:x", "user:1"}, "no address is kept for ever"
    assert {str(row[4]) for row in found} == {"{}", "{'name': 'Engines'}", "{'email': 'b@c.example'}"}
