"""The suite's databases: a real PostgreSQL, migrated by its owner, used by every test as the application's role.

One template is migrated per state of the migrations and kept; each worker copies it. Without DATABASE_URL the cluster
is the wheel's, under `var/test-postgres`, started by the first test that touches the database.
"""

import hashlib
import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.test import TransactionTestCase
from psycopg import sql
from pytest_django import DjangoDbBlocker

from config import env
from config.embedded import APP, OWNER, ROLE_SQL, start_database

KEPT = frozenset({"django_migrations", "django_content_type", "auth_permission", "candor_monthly"})
"""Tables that migrations fill; a flush leaves them alone."""

_MAKING = 0x63616E64  # one advisory lock for making templates, any number that is ours


def server_urls() -> tuple[str, str]:
    """URLs of the application's and the owner's role; starts the embedded cluster where none is named."""
    if not os.environ.get("DATABASE_URL"):
        cluster = start_database(settings.VAR_DIR / "test-postgres", durable=False)
        _export(cluster.url(APP), cluster.url(OWNER))
    return os.environ["DATABASE_URL"], os.environ["DATABASE_OWNER_URL"]


def _options(role: str) -> dict[str, Any]:
    variable = "DATABASE_URL" if role == APP else "DATABASE_OWNER_URL"
    server_urls()
    return env.database(variable, "")


def connect(role: str, name: str = "") -> psycopg.Connection[tuple[Any, ...]]:
    """A raw autocommit connection as one of the two roles, by default to the running test's database."""
    facts = _options(role)
    return psycopg.connect(
        dbname=name or str(settings.DATABASES["default"]["NAME"]),
        user=str(facts["USER"]),
        password=str(facts["PASSWORD"]) or None,
        host=str(facts["HOST"]) or None,
        port=str(facts["PORT"]) or None,
        autocommit=True,
    )


def _use(role: str, name: str) -> None:
    """Point Django's connections, of all threads, at one database as one role."""
    connections["default"].close()
    facts = _options(role)
    chosen = {key: facts[key] for key in ("USER", "PASSWORD", "HOST", "PORT")} | {"NAME": name}
    for target in (connections["default"].settings_dict, settings.DATABASES["default"]):
        target.update(chosen)


def _state() -> str:
    """A hash over all that shapes a migrated database."""
    digest = hashlib.sha256(ROLE_SQL.encode())
    loader = MigrationLoader(None, ignore_no_migrations=True)
    modules = {migration.__module__ for migration in loader.disk_migrations.values()}
    files = [Path(inspect.getfile(import_module(module))) for module in sorted(modules)]
    here = Path(__file__).parents[1]
    for path in [*files, here / "lib" / "postgres.py", here / "accounts" / "scoping.py"]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _exists(server: psycopg.Connection[Any], name: str) -> bool:
    return server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def _create(server: psycopg.Connection[Any], name: str, template: str) -> None:
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    server.execute(statement)


def drop_database(server: psycopg.Connection[Any], name: str) -> None:
    """Drop a database and end what a test's threads left open there, each role its own.

    Not WITH (FORCE): that is refused while an autovacuum worker is in there, which a plain DROP sends away by itself.
    """
    with connect(APP, server.info.dbname) as app:
        for role in (app, server):
            role.execute(
                "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
                " WHERE datname = %s AND usename = current_user AND pid <> pg_backend_pid()",
                [name],
            )
    server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def _ensure_template(server: psycopg.Connection[Any]) -> str:
    """The migrated template of the present state; others are dropped, they belong to other code."""
    name = f"candor_template_{_state()}"
    if _exists(server, name):
        return name
    for (old,) in server.execute("SELECT datname FROM pg_database WHERE datname LIKE 'candor_template_%'").fetchall():
        drop_database(server, old)
    _create(server, f"{name}_new", "template0")
    with connect(OWNER, f"{name}_new") as fresh:
        fresh.execute(ROLE_SQL)
    _use(OWNER, f"{name}_new")
    call_command("migrate", verbosity=0)
    connections["default"].close()
    server.execute(
        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(f"{name}_new"), sql.Identifier(name))
    )
    return name


def _drop_abandoned(server: psycopg.Connection[Any]) -> None:
    """Drop test databases whose process is gone."""
    for (name,) in server.execute("SELECT datname FROM pg_database WHERE datname LIKE 'candor_test_%'").fetchall():
        pid = name.rpartition("_")[2]
        if not pid.isdigit() or not psutil.pid_exists(int(pid)):
            drop_database(server, name)


@contextmanager
def own_database() -> Iterator[str]:
    """This process's own database, used as the application's role until the end; child processes use it as well."""
    name = f"candor_test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"
    before = server_urls()
    with connect(OWNER, urlsplit(before[1]).path.strip("/")) as server:
        server.execute("SELECT pg_advisory_lock(%s)", [_MAKING])
        _drop_abandoned(server)
        _create(server, name, _ensure_template(server))
        server.execute("SELECT pg_advisory_unlock(%s)", [_MAKING])
        _use(APP, name)
        _export(*(urlsplit(url)._replace(path=f"/{name}").geturl() for url in before))
        yield name
        _export(*before)
        connections.close_all()
        drop_database(server, name)


def _export(app_url: str, owner_url: str) -> None:
    os.environ["DATABASE_URL"], os.environ["DATABASE_OWNER_URL"] = app_url, owner_url


def flush() -> None:
    """Empty every table that tests fill; as the owner, because the application's role may not TRUNCATE.

    Sequences go on: a number that comes again would find what a process remembers of its first bearer.
    """
    with connect(OWNER) as owner:
        owner.execute("SET lock_timeout = '10s'")
        rows = owner.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition"
        ).fetchall()
        names = [sql.Identifier(name) for (name,) in rows if name not in KEPT]
        owner.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(names)))


def _flush_after_test(self: TransactionTestCase) -> None:
    connections["default"].close()
    flush()


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """pytest-django's set-up, replaced: its own would migrate and flush as the role that must not be able to."""
    with django_db_blocker.unblock(), own_database():
        TransactionTestCase._fixture_teardown = _flush_after_test  # type: ignore[attr-defined]  # Django's own hook
        yield


@pytest.fixture
def app_connection(transactional_db: None) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A raw connection as the application's role, without any of the walls' settings."""
    with connect(APP) as connection:
        yield connection


@pytest.fixture
def owner_connection(transactional_db: None) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A raw connection as the role that owns the tables."""
    with connect(OWNER) as connection:
        yield connection
