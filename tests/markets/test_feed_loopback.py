"""The live feed through the ccxt adapter over real sockets: cuts, garbage and duplicates cost no candle."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from lib import clock
from markets.candles import load_ohlcv
from markets.models import Candle, FeedState, Instrument, Venue
from markets.venues import open_venue
from tests.markets.test_feed import QUICK, Running, _nobody_above, db, until
from tests.markets.worlds import at, make_instrument, make_venue
from tests.venue_server import VenueServer
from tests.venue_wire import generated

__all__ = ["_nobody_above"]
pytestmark = pytest.mark.django_db(transaction=True)
SPEED = 30.0
LIMITS = replace(QUICK, silence_s=5.0, first_message_s=10.0, heartbeat_s=1.0, backfill_s=1800)


@pytest.fixture
def server() -> Iterator[VenueServer]:
    with VenueServer(generated(["BTCUSDT", "ETHUSDT"]), play=True, speed=SPEED) as venue:
        clock.follow(lambda: at(venue.now()))
        yield venue
        clock.release()


def pair() -> list[Instrument]:
    home = make_venue("binance", Venue.Kind.LIVE, "binance")
    return [make_instrument(name, venue=home) for name in ("BTC/USDT", "ETH/USDT")]


def stored_at(instrument: Instrument) -> list[int]:
    times = Candle.objects.filter(instrument=instrument).values_list("open_time", flat=True)
    return [clock.epoch(time) for time in times]


async def test_no_candle_is_lost_or_doubled_over_cuts_garbage_and_duplicates(server: VenueServer) -> None:
    rows = await db(pair)
    begin = int(server.now()) // 60 * 60
    venue = open_venue("binance", base_url=server.rest_url, ws_url=server.ws_url, now=server.now)
    async with Running(venue, rows, LIMITS):
        await until(lambda: FeedState.objects.filter(instrument=None, state=FeedState.State.LIVE).exists())
        server.script(cut=0.5, garbage=0.05, duplicates=3)
        await asyncio.sleep(8)
        server.script(cut=0.0, garbage=0.0, duplicates=1)
        end = int(server.now()) // 60 * 60
        due = list(range(begin, end, 60))
        await until(lambda: all(set(due) <= set(stored_at(row)) for row in rows))
        states = await db(lambda: FeedState.objects.get(instrument=None))
    assert states.reconnects >= 1
    assert len(due) >= 4
    for row, name in zip(rows, ("BTCUSDT", "ETHUSDT"), strict=True):
        times, ohlcv = await db(load_ohlcv, row.pk, begin, end)
        assert times.tolist() == due
        source = server.candles[name]
        wanted = source[np.isin(source[:, 0], times)][:, 1:6]
        assert np.allclose(ohlcv, wanted)
