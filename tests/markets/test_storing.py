"""Writers that race, a database that goes away, and waits that grow."""

import asyncio
import threading

import pytest
from django.db import connection, connections

from config.embedded import APP
from markets.backoff import Backoff
from markets.candles import Source, StoreReport, latest, store_closed
from markets.minutes import Arrival, Collector, Series
from markets.models import Candle, CandleRevision
from markets.storing import DatabaseThread
from markets.values import PriceTick, Trade
from tests.database import connect
from tests.markets.worlds import START, at, candle, make_instrument, series

NOW = at(START + 86_400)


@pytest.mark.django_db(transaction=True)
def test_racing_writers_leave_one_candle_and_every_replaced_value() -> None:
    btc = make_instrument()
    closes = [100.0 + n / 8 for n in range(1, 9)]
    gate = threading.Barrier(len(closes))
    reports: list[StoreReport] = []

    def write(close: float) -> None:
        try:
            gate.wait()
            rows = [(btc.pk, candle(START + 60 * minute, close=close)) for minute in range(20)]
            reports.append(store_closed(rows, source=Source.STREAM, now=NOW))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, args=(close,)) for close in closes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = sum(reports, StoreReport())
    assert (total.stored, total.corrected, total.duplicates) == (20, 20 * 7, 0)
    for minute in range(20):
        held = list(Candle.objects.filter(open_time=at(START + 60 * minute)).values_list("close", flat=True))
        held += CandleRevision.objects.filter(open_time=at(START + 60 * minute)).values_list("close", flat=True)
        assert sorted(held) == closes


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", [1, 2])
def test_racing_downloads_of_the_same_days_store_them_once(seed: int) -> None:
    btc = make_instrument()
    gate = threading.Barrier(4)
    reports: list[StoreReport] = []

    def write() -> None:
        try:
            gate.wait()
            reports.append(store_closed(series(btc, 3000, seed=seed), source=Source.REST, now=at(START + 86_400 * 9)))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = sum(reports, StoreReport())
    assert (total.stored, total.corrected, total.duplicates) == (3000, 0, 9000)
    assert Candle.objects.count() == 3000


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["fetch", "copy"])
async def test_the_errors_of_copies_and_packed_reads_are_djangos(way: str) -> None:
    database = DatabaseThread()
    btc = await asyncio.to_thread(_made)
    attempts: list[int] = []

    def work() -> int:
        attempts.append(1)
        if len(attempts) == 1:
            connection.ensure_connection()
            pid = connection.connection.info.backend_pid
            _kill(pid)
        if way == "fetch":
            return len(latest(btc, 5))
        return store_closed([(btc, candle())], source=Source.STREAM, now=NOW).stored

    assert await database.insist(work) == (0 if way == "fetch" else 1)
    assert len(attempts) == 2
    await asyncio.to_thread(database.close)


def _made() -> int:
    try:
        return make_instrument().pk
    finally:
        connections.close_all()


def _kill(pid: int) -> None:
    with connect(APP) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])


@pytest.mark.django_db(transaction=True)
async def test_a_lost_connection_is_replaced_and_the_write_tried_again() -> None:
    database = DatabaseThread()
    attempts: list[int] = []

    def work() -> int:
        attempts.append(1)
        with connection.cursor() as cursor:
            if len(attempts) == 1:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            cursor.execute("SELECT 41 + 1")
            return int(cursor.fetchone()[0])

    assert await database.insist(work) == 42
    assert len(attempts) == 2
    with pytest.raises(ZeroDivisionError):
        await database.insist(lambda: 1 // 0)
    await asyncio.to_thread(database.close)


def test_waits_double_up_to_the_cap_and_stay_under_two_a_second() -> None:
    low, high = Backoff(draw=lambda: 0.0), Backoff(draw=lambda: 1.0)
    assert [low.next_wait() for _ in range(7)] == [0.5, 1, 2, 4, 8, 15, 15]
    assert [high.next_wait() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    high.reset()
    assert high.next_wait() == 1


def test_a_minute_is_ready_when_complete_or_after_its_grace() -> None:
    collector = Collector(grace_s=0.25)

    def add(instrument_id: int, now: float) -> bool:
        return collector.add(Arrival(instrument_id, candle(), 0.0, 0.0), now)

    assert add(1, 10.0)
    assert collector.take_ready(10.1, lambda _: [1, 2]) is None
    assert not add(2, 10.1)
    batch = collector.take_ready(10.1, lambda _: [1, 2])
    assert batch is not None
    assert batch.closes() == {START + 60: [1, 2]}
    assert add(3, 11.0)
    assert collector.take_ready(11.24, lambda _: [3, 4]) is None
    late = collector.take_ready(11.25, lambda _: [3, 4])
    assert late is not None
    assert late.closes() == {START + 60: [3]}
    assert collector.take_ready(12.0) is None


def test_the_forming_candle_follows_prices_and_restarts_with_the_minute() -> None:
    series = Series(1, "X", 0.01, "always")
    for second, price in ((1.0, 100.0), (2.0, 103.0), (3.0, 99.0)):
        series.tick(PriceTick("X", START + second, price))
    now = series.tick(Trade("X", START + 4.0, 101.0, 2.0, buy=True))
    assert (now.open, now.high, now.low, now.close, now.volume, now.closed) == (100, 103, 99, 101, 2, False)
    assert series.tick(PriceTick("X", START - 1.0, 1.0)).low == 99  # of the minute before: too late
    assert series.tick(PriceTick("X", START + 60.0, 105.0)).open == 105
