"""Funding and open interest: the real ccxt against the loopback venue, into the database."""

from collections.abc import Iterator

import numpy as np
import pytest
from prometheus_client import REGISTRY

from config.celery import SCHEDULE
from lib import clock
from markets import tasks
from markets.derivatives import Stat, load_perpetuals, perpetuals, poll, store
from markets.models import DerivativeStat, Instrument, Run, Venue
from markets.venues import Capability
from tests.logged import Logged
from tests.markets.worlds import START, at, make_instrument, make_venue
from tests.venue_server import VenueServer
from tests.venue_wire import RestFault, generated

pytestmark = pytest.mark.django_db(transaction=True)


def standing(now: int = START) -> VenueServer:
    """A venue whose clock stands still."""
    return VenueServer(generated(["BTCUSDT", "ETHUSDT"], end=now), speed=0.0, start=float(now))


@pytest.fixture
def server() -> Iterator[VenueServer]:
    with standing() as venue:
        yield venue


def live(adapter: str = "binance") -> Venue:
    return make_venue(adapter, Venue.Kind.LIVE, adapter)


def pair(home: Venue) -> list[Instrument]:
    return [make_instrument(name, venue=home) for name in ("BTC/USDT", "ETH/USDT")]


def ask(home: Venue, server: VenueServer, **how: float) -> int:
    return poll(home, options={"base_url": server.rest_url}, **how)


def failures(venue: str = "binance") -> float:
    return REGISTRY.get_sample_value("candor_derivatives_failed_total", {"venue": venue}) or 0.0


def run_over(home: Venue, state: str = Run.State.RUNNING) -> Run:
    return Run.objects.create(venue=home, state=state, started_at=clock.wall_now(), beat_at=clock.wall_now())


def test_each_instant_is_stored_once(server: VenueServer) -> None:
    home = live()
    btc, eth = pair(home)
    assert ask(home, server) == 4
    assert ask(home, server) == 0, "the venue told the same instant again"
    with standing(START + 600) as later:
        assert ask(home, later) == 4
    rows = DerivativeStat.objects.order_by("at", "instrument_id", "kind").values_list("instrument_id", "kind", "value")
    told = [
        (key, kind, value) for key in (btc.pk, eth.pk) for kind, value in (("funding", 1e-4), ("open_interest", 1234.5))
    ]
    assert list(rows) == told * 2
    assert set(DerivativeStat.objects.values_list("at", flat=True)) == {at(START), at(START + 600)}
    assert all("/fapi/" in path for _, path, _ in server.requests)


def test_only_what_is_followed_and_has_a_perpetual_is_asked_for(server: VenueServer) -> None:
    home = live()
    pair(home)
    Instrument.objects.filter(symbol="ETH/USDT").update(followed=False)
    make_instrument("DOGE/USDT", venue=home)
    own = make_instrument("BTC/USDT:USDT", venue=home, quote="USDT")
    before = failures()
    assert ask(home, server) == 4
    assert set(DerivativeStat.objects.values_list("instrument__symbol", flat=True)) == {"BTC/USDT", own.symbol}
    asked = [path for _, path, _ in server.requests if "symbol=" in path]
    assert len(asked) == 2, "one request a figure, whoever it belongs to"
    assert failures() == before


def test_a_dated_future_has_no_perpetual() -> None:
    home = live()
    make_instrument("BTC/USDT:USDT-261225", venue=home, quote="USDT")
    usd = make_instrument("BTC/USD:BTC", venue=home, quote="USD")
    assert perpetuals(Instrument.objects.all()) == {"BTC/USD:BTC": [usd.pk]}


def test_a_refused_figure_costs_no_other(server: VenueServer, logged: Logged) -> None:
    home = live()
    pair(home)
    before = failures()
    server.script(RestFault(400, body='{"code":-1121,"msg":"Invalid symbol."}', path="openInterest"))
    assert ask(home, server) == 3
    assert failures() == before + 1
    (entry,) = logged("derivatives_failed")
    assert (entry["symbol"], entry["kind"]) == ("BTC/USDT:USDT", "open_interest")
    assert ask(home, server) == 1, "the next poll brings what was missing"


@pytest.mark.parametrize(
    "fault", [RestFault(503, times=9), RestFault(418, times=9), RestFault(200, body="<html>", times=9)]
)
def test_a_venue_in_trouble_is_counted_and_never_raises(server: VenueServer, fault: RestFault, logged: Logged) -> None:
    home = live()
    pair(home)
    before = failures()
    server.script(fault)
    assert ask(home, server) == 0
    assert failures() == before + 1
    assert [one["venue"] for one in logged("derivatives_failed")] == ["binance"]


def test_a_slow_venue_is_given_up(server: VenueServer) -> None:
    home = live()
    pair(home)
    before = failures()
    server.script(drip_s=5.0)
    assert ask(home, server, limit_s=0.3) == 0
    assert failures() == before + 1


def test_what_is_written_twice_stands_as_first_written() -> None:
    btc = make_instrument()
    assert store([]) == 0
    first = Stat(btc.pk, Capability.FUNDING, START + 0.5, 1e-4)
    assert store([first, first]) == 1
    assert (
        store(
            [
                Stat(btc.pk, Capability.FUNDING, START + 0.5, 2e-4),
                Stat(btc.pk, Capability.OPEN_INTEREST, START + 0.5, 7.0),
            ]
        )
        == 1
    )
    assert sorted(DerivativeStat.objects.values_list("kind", "value")) == [("funding", 1e-4), ("open_interest", 7.0)]


def test_what_was_known_of_perpetuals_is_read_by_instrument() -> None:
    btc, eth, ltc = (make_instrument(name).pk for name in ("BTC/USDT", "ETH/USDT", "LTC/USDT"))
    interest = [(btc, 600.0, 100.0), (btc, 4000.0, 110.0), (btc, 9001.0, 500.0), (eth, 4000.0, 7.0)]
    rates = [(btc, 600.0, 1e-4), (btc, 700.0, 2e-4), (ltc, -90_000.0, 9.0)]
    store([Stat(key, Capability.OPEN_INTEREST, START + at, value) for key, at, value in interest])
    store([Stat(key, Capability.FUNDING, START + at, value) for key, at, value in rates])
    found = load_perpetuals(np.array([eth, btc, ltc]), START + 9000)
    assert found is not None
    np.testing.assert_array_equal(found.times[:2], [[np.nan, START + 4000], [START + 600, START + 4000]])
    np.testing.assert_array_equal(found.open_interest[:2], [[np.nan, 7], [100, 110]])
    np.testing.assert_array_equal(found.funding, [np.nan, 2e-4, np.nan])
    assert np.isnan(found.open_interest[2]).all()
    assert load_perpetuals(np.array([ltc]), START + 9000) is None


@pytest.mark.parametrize("kind", [Venue.Kind.SIMULATED, Venue.Kind.REPLAY])
def test_only_a_running_live_market_is_polled(kind: Venue.Kind) -> None:
    assert tasks.poll_derivatives() == 0
    home = make_venue("unreal", kind, "no-such-exchange")
    make_instrument(venue=home)
    run_over(home)
    before = failures("no-such-exchange")
    assert tasks.poll_derivatives() == 0
    run_over(live("no-such-exchange"), Run.State.ENDED)
    assert tasks.poll_derivatives() == 0
    assert failures("no-such-exchange") == before


def test_the_task_survives_a_venue_that_cannot_be_opened() -> None:
    home = live("no-such-exchange")
    run_over(home)
    assert tasks.poll_derivatives() == 0, "nothing is followed"
    make_instrument(venue=home)
    before = failures("no-such-exchange")
    assert tasks.poll_derivatives() == 0
    assert failures("no-such-exchange") == before + 1


def test_a_venue_without_these_capabilities_is_asked_nothing() -> None:
    home = live("kraken")
    make_instrument("BTC/USD", venue=home)
    run_over(home)
    before = failures("kraken")
    assert tasks.poll_derivatives() == 0
    assert failures("kraken") == before


def test_beat_polls_every_ten_minutes() -> None:
    entry = SCHEDULE["poll funding and open interest"]
    assert entry["task"] == tasks.poll_derivatives.name
    assert entry["schedule"] == 600
    assert entry["options"] == {"expire_seconds": 300}
