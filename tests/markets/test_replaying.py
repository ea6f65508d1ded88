"""The recording's feed, downloads and history, listing, tasks: whole jobs over small markets."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection

from lib import clock
from markets import tasks
from markets.candles import Source, load_panel, store_closed
from markets.downloading import download, load_history
from markets.events import candle_closed
from markets.feed import FeedThread, Hooks
from markets.listing import sync_instruments
from markets.models import Activation, Candle, DayQuality, FeedState, Instrument, Run, Venue
from markets.opening import Opened, open_market
from markets.replaying import ReplayFeed
from markets.values import TaintFlag
from markets.venues import open_venue
from markets.venues.replay import ReplayVenue
from tests.markets.worlds import START, at, make_instrument, series, walk

pytestmark = pytest.mark.django_db(transaction=True)
LIVE_MINUTES = 10


@pytest.fixture
def within_a_minute() -> Iterator[None]:
    """The wall clock stands in the middle of a minute."""
    with time_machine.travel(clock.floor_minute(clock.wall_now()) + timedelta(seconds=30), tick=False):
        yield


@pytest.fixture(autouse=True)
def _nobody_above() -> Iterator[None]:
    heard, candle_closed.receivers = candle_closed.receivers, []
    candle_closed.sender_receivers_cache.clear()
    yield
    candle_closed.receivers = heard
    candle_closed.sender_receivers_cache.clear()
    clock.release()


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    paths = []
    for seed, name in enumerate(("BTCUSDT", "ETHUSDT")):
        times, rows = walk(120, seed=seed)
        keep = np.array([t for t in range(120) if (name, t) != ("ETHUSDT", 115)])
        columns = dict(zip(("open", "high", "low", "close", "volume"), rows[keep].T, strict=True))
        stamps = pyarrow.array(times[keep] * 1000, pyarrow.timestamp("ms", "UTC"))
        paths.append(tmp_path / f"binance_{name}.parquet")
        pyarrow.parquet.write_table(pyarrow.table({"ts": stamps, **columns}), paths[-1])
    return open_market("auto", replay=paths, live_s=LIVE_MINUTES * 60, speed=3600, say=print)


def finish(feed: FeedThread) -> None:
    deadline = time.monotonic() + 60
    while feed.alive:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert feed.stop()


def test_a_recording_is_told_minute_by_minute_and_waits_for_decisions(opened: Opened) -> None:
    load_history(opened, days=3, say=print)
    assert Candle.objects.count() == 220
    told: list[tuple[str, int]] = []
    asked: dict[int, int] = {}
    ended: list[int] = []

    def hear(close_time: int, instrument_ids: list[int], **_: object) -> None:
        told.append(("closed", close_time))
        assert clock.epoch(clock.market_now()) == close_time
        panel = load_panel(instrument_ids, close_time, 60)
        assert panel.ohlcv.shape == (len(instrument_ids), 60, 5)
        assert not panel.taint[0] & TaintFlag.STALE

    def decided(close_time: int) -> bool:
        asked[close_time] = asked.get(close_time, 0) + 1
        told.append(("asked", close_time))
        return asked[close_time] == 2

    candle_closed.connect(hear, weak=False)
    feed = FeedThread(opened, Hooks(wait_decided=decided, on_end=lambda: ended.append(1)))
    feed.start()
    finish(feed)
    closes = [START + 60 * minute for minute in range(111, 121)]
    assert told == [(word, close) for close in closes for word in ("closed", "asked", "asked")]
    assert ended == [1]
    run = Run.objects.get()
    assert (run.state, run.market_at, run.market_end) == (Run.State.ENDED, at(START + 7200), at(START + 7200))
    assert run.speed_reached is not None
    assert 0 < run.speed_reached <= 3600
    assert Candle.objects.count() == 239
    row = Candle.objects.get(instrument__symbol="BTC/USDT", open_time=at(START + 118 * 60))
    assert (row.source, row.observed_at, row.flags) == (Source.REPLAY, at(START + 119 * 60), 0)
    assert {a.at for a in Activation.objects.all()} == {at(START + 111 * 60)}
    assert set(FeedState.objects.values_list("state", "detail")) == {(FeedState.State.DOWN, "recording ended")}


def test_an_undecided_minute_does_not_hang_a_recording(opened: Opened) -> None:
    venue = open_venue("replay", **opened.options)
    assert isinstance(venue, ReplayVenue)
    feed = ReplayFeed(
        venue,
        opened.run,
        list(Instrument.objects.all()),
        speed=3600,
        wait_decided=lambda _: False,
        decide_within_s=0.05,
    )
    asyncio.run(feed.run())
    assert Run.objects.get().state == Run.State.ENDED


def test_stopping_a_recording_leaves_it_open(opened: Opened) -> None:
    feed = FeedThread(opened, Hooks(wait_decided=lambda _: False))
    feed.start()
    deadline = time.monotonic() + 60
    while not Candle.objects.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert feed.stop()
    assert Run.objects.get().state == Run.State.RUNNING


# ---- downloads


def test_a_download_asks_only_for_what_is_missing_and_goes_on_where_it_ended() -> None:
    venue = sync_instruments("simulated").venue
    btc = Instrument.objects.get(venue=venue, symbol="BTC/USDT")
    steps: list[tuple[int, int]] = []
    stopping = threading.Event()

    def progress(_: Instrument, done: int, total: int) -> None:
        steps.append((done, total))
        stopping.set()

    days = 6 * 86_400
    (part,) = download(venue, [btc], START, START + days, on_progress=progress, stopping=stopping)
    assert (part.stored, part.missing) == (5000, 8640 - 5000)
    (rest,) = download(venue, [btc], START, START + days)
    assert (rest.stored, rest.duplicates, rest.missing) == (3640, 0, 0)
    assert steps == [(5000, 8640)]


def test_the_download_command_reports() -> None:
    out = StringIO()
    arguments = ["--venue", "simulated", "--symbol", "ETH/USDT", "--from", "2026-03-02", "--to", "2026-03-02T01:00"]
    call_command("download_candles", *arguments, "--json", stdout=out)
    (found,) = json.loads(out.getvalue())["instruments"]
    assert (found["symbol"], found["stored"], found["missing"], found["error"]) == ("ETH/USDT", 60, 0, "")
    call_command("download_candles", *arguments, stdout=out)
    assert "ETH/USDT: 0 stored, 0 duplicates" in out.getvalue()
    for wrong, says in (
        (["--symbol", "NO/PE"], "lists no NO/PE"),
        (["--timeframe", "5m"], "only 1m is stored"),
        (["--to", "2026-03-01"], "swap --from and --to"),
    ):
        with pytest.raises(CommandError, match=says):
            call_command("download_candles", *arguments, *wrong)


def test_listing_keeps_what_an_operator_ticked() -> None:
    out = StringIO()
    call_command("sync_instruments", "simulated", "--json", stdout=out)
    assert json.loads(out.getvalue())["added"] == json.loads(out.getvalue())["listed"] == 8
    Instrument.objects.filter(symbol="BTC/USDT").update(followed=True, tick_size=5.0)
    make_instrument("OLD/COIN", venue=Venue.objects.get(), followed=False)
    call_command("sync_instruments", "simulated", stdout=out)
    assert "8 instruments listed, 0 new, 1 changed, 1 not listed any more, 1 followed" in out.getvalue()


# ---- tasks


def test_the_catch_up_brings_what_no_stream_brought_and_tells_of_the_newest(within_a_minute: None) -> None:
    venue = sync_instruments("simulated").venue
    btc = Instrument.objects.get(venue=venue, symbol="BTC/USDT")
    Instrument.objects.filter(pk=btc.pk).update(followed=True)
    assert tasks.ingest_closed() == 0  # no run
    run = Run.objects.create(
        venue=venue, state=Run.State.RUNNING, started_at=clock.wall_now(), beat_at=clock.wall_now()
    )
    news: list[tuple[int, list[int]]] = []

    def hear(close_time: int, instrument_ids: list[int], **_: object) -> None:
        news.append((close_time, instrument_ids))

    candle_closed.connect(hear)
    assert tasks.ingest_closed() == 15
    newest = Candle.objects.latest("open_time")
    assert news == [(clock.epoch(newest.open_time) + 60, [btc.pk])]
    assert newest.flags == TaintFlag.REPAIRED
    assert tasks.ingest_closed() == 0
    run.state = Run.State.ENDED
    run.save()
    assert tasks.ingest_closed() == 0


def test_quality_is_measured_today_and_over_midnight() -> None:
    assert tasks.measure_quality() == 0
    btc = make_instrument()
    Run.objects.create(
        venue=btc.venue, state=Run.State.RUNNING, started_at=clock.wall_now(), market_at=at(START + 90_000)
    )
    Activation.objects.create(instrument=btc, at=at(START + 60), active=True)
    rows = series(btc, 1500)
    store_closed(rows, source=Source.REPLAY, observed_at=rows.open_times + 60.0)
    Run.objects.update(market_at=at(START + 86_400 + 300))
    assert tasks.measure_quality() == 2
    found = {row.day.day: (row.due, row.good) for row in DayQuality.objects.all()}
    assert found == {2: (1440, 1440), 3: (4, 4)}  # the candle that closes at midnight is the old day's


def test_partitions_are_made_ahead_and_old_books_dropped() -> None:
    tasks.drop_old_books()  # what other tests left
    assert tasks.create_partitions() >= 4
    with connection.cursor() as cursor:
        for month in ("2020-01-01", "2020-02-01"):
            cursor.execute("SELECT candor_ensure_month('markets_booksnapshot', %s)", [month])
        ahead = (clock.wall_now() + timedelta(days=60)).strftime("markets_candle_%Y_%m")
        cursor.execute("SELECT to_regclass(%s)", [ahead])
        assert cursor.fetchone() != (None,)
    assert tasks.drop_old_books() == 2
    assert tasks.drop_old_books() == 0
