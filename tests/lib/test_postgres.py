"""Monthly partitions and append-only tables, as the role that may do neither by itself."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from threading import Barrier
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.db import ProgrammingError, connection, transaction
from django.db.migrations.state import ProjectState

from lib.postgres import AppendOnly, drop_month, ensure_partitions, monthly, months

database = pytest.mark.django_db
EXISTS = "SELECT to_regclass(%s) IS NOT NULL"


def exists(name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(EXISTS, [name])
        return bool(cursor.fetchall()[0][0])


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        ((2026, 3, 2), (2026, 3, 31), [date(2026, 3, 1)]),
        ((2026, 3, 31), (2026, 4, 1), [date(2026, 3, 1), date(2026, 4, 1)]),
        ((2025, 11, 30), (2026, 2, 1), [date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1), date(2026, 2, 1)]),
        ((2026, 3, 2), (2026, 3, 1), [date(2026, 3, 1)]),
        ((2026, 4, 1), (2026, 3, 31), []),
    ],
)
def test_months_between(start: tuple[int, int, int], end: tuple[int, int, int], found: list[date]) -> None:
    assert list(months(datetime(*start, tzinfo=UTC), datetime(*end, tzinfo=UTC))) == found


@database
def test_partitions_are_made_ahead_and_twice_is_once() -> None:
    start, end = datetime(2031, 12, 15, tzinfo=UTC), datetime(2032, 1, 1, tzinfo=UTC)
    assert not exists("signals_round_2031_12")
    for _ in range(2):
        ensure_partitions("signals_round", start, end)
    assert exists("signals_round_2031_12")
    assert exists("signals_round_2032_01")


@pytest.mark.django_db(transaction=True)
def test_workers_that_need_the_same_month_do_not_collide() -> None:
    at, together = datetime(2033, 7, 1, tzinfo=UTC), Barrier(6)

    def work(_: int) -> None:
        together.wait(10)
        try:
            ensure_partitions("markets_candle", at, at)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert exists("markets_candle_2033_07")


@database
def test_a_table_that_is_not_monthly_is_refused() -> None:
    with pytest.raises(ProgrammingError, match="accounts_user is not partitioned by month"), transaction.atomic():
        ensure_partitions("accounts_user", datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))


@database
def test_books_are_dropped_and_the_record_is_not() -> None:
    at = datetime(2034, 1, 1, tzinfo=UTC)
    ensure_partitions("markets_booksnapshot", at, at)
    drop_month("markets_booksnapshot", at.date())
    assert not exists("markets_booksnapshot_2034_01")
    drop_month("markets_booksnapshot", at.date())
    for table in ("signals_round", "markets_candle"):
        with pytest.raises(ProgrammingError, match=f"months of {table} are kept for ever"), transaction.atomic():
            drop_month(table, at.date())


@database
@pytest.mark.parametrize("table", ["signals_round", "signals_signal", "signals_outcome", "markets_candlerevision"])
@pytest.mark.parametrize("right", ["UPDATE", "DELETE", "TRUNCATE"])
def test_the_record_is_append_only_for_the_application(table: str, right: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_table_privilege(%s, %s), has_table_privilege(%s, 'INSERT')", [table, right, table])
        assert cursor.fetchall() == [(False, True)]


@database
def test_the_application_cannot_register_a_table_or_make_one() -> None:
    for statement in ("INSERT INTO candor_monthly VALUES ('accounts_user')", "CREATE TABLE mine (id int)"):
        with pytest.raises(ProgrammingError, match="denied"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


@database
def test_the_operations_can_be_undone() -> None:
    step, state = AppendOnly("Round"), ProjectState.from_apps(apps)
    before = dict(state.models)
    step.state_forwards("signals", state)
    assert state.models == before
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        step.database_forwards("signals", editor, state, state)
        step.database_backwards("signals", editor, state, state)
        assert editor.collected_sql == [
            'REVOKE UPDATE, DELETE, TRUNCATE ON "signals_round" FROM candor_app;',
            'GRANT UPDATE, DELETE ON "signals_round" TO candor_app;',
        ]
    assert step.describe() == "Make Round append-only for the application"


@database
def test_a_monthly_table_is_made_and_unmade(owner_connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    step = monthly("trial", "at timestamptz NOT NULL, n int", by="at", key="at, n", extra="CREATE INDEX ON trial (n);")
    owner_connection.execute(str(step.sql).encode())
    owner_connection.execute("SELECT candor_ensure_month('trial', '2026-03-15')")
    owner_connection.execute("INSERT INTO trial VALUES ('2026-03-31 23:59:59+00', 1)")
    with pytest.raises(psycopg.errors.CheckViolation):
        owner_connection.execute("INSERT INTO trial VALUES ('2026-04-01 00:00:00+00', 1)")
    owner_connection.execute(str(step.reverse_sql).encode())
    left = owner_connection.execute("SELECT to_regclass('trial'), count(*) FROM candor_monthly WHERE parent = 'trial'")
    assert left.fetchone() == (None, 0)
