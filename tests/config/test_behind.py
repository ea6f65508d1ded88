"""Commands on a database that is behind the code end with one line; any other error of a database stays what it is."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from psycopg import sql

from config.embedded import OWNER, ROLE_SQL
from tests.config.test_upgrade import migrate
from tests.database import connect, drop_database

ROOT = Path(__file__).parents[2]
REMEDY = "run `make run` or `manage.py migrate`"
Done = subprocess.CompletedProcess[str]


def manage(environment: dict[str, str], *words: str) -> Done:
    command = [sys.executable, "manage.py", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def at(name: str) -> dict[str, str]:
    """The environment of an installation whose database is `name`."""
    urls = {key: urlsplit(os.environ[key]) for key in ("DATABASE_URL", "DATABASE_OWNER_URL")}
    return os.environ | {key: url._replace(path=f"/{name}").geturl() for key, url in urls.items()}


@pytest.fixture
def empty(db: None) -> Iterator[dict[str, str]]:
    """An installation whose database was never migrated."""
    name = f"candor_test_behind_{os.getpid()}"
    with connect(OWNER) as server:
        server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        with connect(OWNER, name) as fresh:
            fresh.execute(ROLE_SQL)
        yield at(name)
        drop_database(server, name)


def told(done: Done) -> str:
    """The one line that a command ended with."""
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("the database is not at this code's version, ")
    assert line.endswith(f": {REMEDY}")
    return line


def test_commands_before_the_first_migration_say_what_to_do(empty: dict[str, str]) -> None:
    for words in (("features", "--instrument", "BTC/USDT"), ("status",), ("recalibrate", "--venue", "x")):
        assert "migrations are not applied (" in told(manage(empty, *words))


def test_a_missing_column_is_told_until_the_database_was_migrated(empty: dict[str, str]) -> None:
    migrate(empty["DATABASE_OWNER_URL"], "markets", "0002_candlerevision_flags")
    told(manage(empty, "status", "--json"))  # it reads a run's column of the next migration
    migrate(empty["DATABASE_OWNER_URL"])
    done = manage(empty, "status")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "no market yet")


def test_other_errors_keep_their_traceback(empty: dict[str, str]) -> None:
    """On a database that is behind as on one that is not."""
    words = "shell", "--no-imports", "-c"
    divide = "from django.db import connection; connection.cursor().execute('SELECT 1 / 0')"
    nowhere = "from django.db import connection; connection.cursor().execute('SELECT 1 FROM nowhere')"
    for environment, code, error in (
        (empty, divide, "DivisionByZero"),
        (dict(os.environ), divide, "DivisionByZero"),
        (dict(os.environ), nowhere, "UndefinedTable"),
    ):
        done = manage(environment, *words, code)
        assert done.returncode == 1
        assert "Traceback" in done.stderr
        assert error in done.stderr
        assert REMEDY not in done.stderr


def test_a_migration_that_fails_is_not_told_to_migrate(empty: dict[str, str]) -> None:
    with connect(OWNER, urlsplit(empty["DATABASE_URL"]).path.strip("/")) as owner:
        owner.execute("CREATE TABLE django_migrations (id int)")
    done = manage(empty, "migrate", "--verbosity", "0")
    assert done.returncode == 1
    assert "UndefinedColumn" in done.stderr
    assert REMEDY not in done.stderr


def test_a_database_that_cannot_say_what_it_lacks_keeps_the_error(empty: dict[str, str]) -> None:
    with connect(OWNER, urlsplit(empty["DATABASE_URL"]).path.strip("/")) as owner:
        owner.execute("CREATE TABLE django_migrations (id int)")
    done = manage(empty, "status")
    assert "Traceback" in done.stderr
    assert REMEDY not in done.stderr


def test_a_fresh_machine_is_told_the_same(tmp_path: Path) -> None:
    """The embedded PostgreSQL, started by the command itself."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DATABASE_")}
    done = manage(environment | {"CANDOR_VAR": str(tmp_path)}, "features", "--instrument", "BTC/USDT")
    told(done)


def test_commands_without_a_database_read_no_migrations() -> None:
    code = (
        "import sys; sys.argv = ['manage.py', 'evaluate', '--help']\n"
        "import manage\n"
        "try: manage.main()\n"
        "except SystemExit: pass\n"
        "print('config.behind' in sys.modules, 'django.db.migrations.executor' in sys.modules)"
    )
    environment = os.environ | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False False"
