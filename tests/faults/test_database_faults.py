"""PostgreSQL crashes in mid-write (fault 17), takes no connection or no write (fault 18), on a cluster of its own."""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import psycopg
import pytest
from django.db import connection
from django.test import Client, override_settings
from pytest_django import DjangoDbBlocker

from config.embedded import APP
from tests.database import connect, flush
from tests.faults.cluster import Cluster, own_cluster
from tests.faults.counts import times, within
from tests.faults.stage import Stage, staged
from tests.faults.traces import untraced
from tests.faults.witness import witnessing

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults")]

SEEN = (
    "SELECT 'round', id::text FROM signals_round UNION ALL"
    " SELECT 'candle', instrument_id || '@' || open_time FROM markets_candle UNION ALL"
    " SELECT 'outcome', id::text FROM signals_outcome UNION ALL SELECT 'event', id::text FROM signals_pushevent"
)


@pytest.fixture(scope="module")
def cluster(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A cluster to crash."""
    with django_db_blocker.unblock(), own_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(autouse=True)
def _empty(cluster: Cluster) -> Iterator[None]:
    yield
    flush()


def acknowledged() -> set[tuple[str, str]]:
    """Every row that a reader can see: it was committed, and somebody may have been told."""
    with connect(APP) as reader:
        return set(reader.execute(SEEN).fetchall())


def crashes(stage: Stage, cluster: Cluster, number: int) -> list[str]:
    """The server dies at a random instant after a minute closed, and is back at once."""
    dice, found = random.Random(17), []
    for _ in range(number):
        close_time = stage.minute(wait=())
        time.sleep(dice.random() * 0.6)
        before = acknowledged()
        cluster.crash()
        lost = before - acknowledged()
        found += [f"I1: {len(lost)} acknowledged rows are lost, such as {min(lost)}"] if lost else []
        stage.tick()
        if not stage.comes(lambda: stage.decided(close_time, stage.ids()), within(10)):  # noqa: B023  # asked within the turn
            found.append("I8: no write 10 s after the crash")
    return found


def test_17_a_crash_loses_and_doubles_nothing(cluster: Cluster) -> None:
    with staged() as stage:
        assert crashes(stage, cluster, times(2, 60)) == []
        assert untraced(17, stage.witness) == []
        stage.minute()
        stage.patience_s = within(30.0)
        assert stage.violations() == []


def test_17_is_seen_where_commits_are_not_waited_for(cluster: Cluster) -> None:
    cluster.configure("SET synchronous_commit = off", "SET wal_writer_delay = '10s'")
    try:
        with staged() as stage:
            stage.patience_s = 2.0
            assert any(line.startswith("I1") for line in crashes(stage, cluster, 4))
    finally:
        cluster.configure("RESET synchronous_commit", "RESET wal_writer_delay")


# -- 18: no connection, no write


def asked(path: str, **form: str) -> tuple[int, str, float]:
    """Status, `Retry-After` and seconds of a page, as a browser sees them."""
    connection.close()
    client = Client(raise_request_exception=False)
    began = time.monotonic()
    answer = client.post(path, form) if form else client.get(path)
    assert b"Traceback" not in answer.content
    return answer.status_code, answer.headers.get("Retry-After", ""), time.monotonic() - began


def refusals(path: str, **form: str) -> list[str]:
    """What is wrong with the answer of a site whose database cannot be used."""
    status, retry_after, took = asked(path, **form)
    found = [] if (status, retry_after) == (503, "5") else [f"I6: {path} answered {status}, retry {retry_after!r}"]
    return found + ([f"I8: {path} took {took:.1f} s"] if took > within(5) else [])


@contextmanager
def exhausted() -> Iterator[None]:
    """Every connection that the server has is taken."""
    with ExitStack() as taken:
        connection.close()
        for _ in range(3):  # what an earlier scenario let go of may come free late
            with suppress(psycopg.OperationalError):
                while True:
                    taken.enter_context(connect(APP))
            time.sleep(0.3)
        yield


@contextmanager
def read_only(cluster: Cluster) -> Iterator[None]:
    """The server takes no write."""
    cluster.configure("SET default_transaction_read_only = on")
    try:
        yield
    finally:
        cluster.configure("RESET default_transaction_read_only")


SIGN_UP = {"email": "new@desk.example", "password1": "a long password 1", "password2": "a long password 1"}


def test_18_without_a_connection_pages_say_so(cluster: Cluster) -> None:
    with witnessing() as witness, exhausted():
        assert refusals("/") == []
        assert untraced(18, witness) == []
    assert asked("/")[0] == 200


def test_18_a_read_only_database_still_shows_pages(cluster: Cluster) -> None:
    with witnessing() as witness, read_only(cluster):
        assert asked("/")[0] == 200
        assert refusals("/accounts/signup/", **SIGN_UP) == []
        assert untraced(18, witness) == []
    assert asked("/")[0] == 200


@override_settings(ROOT_URLCONF="tests.faults.bare_urls")
def test_18_is_seen_without_the_error_pages(cluster: Cluster) -> None:
    with witnessing() as witness, exhausted():
        assert refusals("/") != []
        assert untraced(18, witness) != []
    with read_only(cluster):
        assert refusals("/accounts/signup/", **SIGN_UP) != []
