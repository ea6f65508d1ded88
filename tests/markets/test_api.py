"""Instruments and candles over REST, and what operators see."""

import pytest
from django.test import Client
from django.urls import reverse

from lib import clock
from markets.candles import Source, store_closed
from markets.models import FeedState, Instrument, Refusal, Run
from markets.quality import SeriesState, write_states
from tests.markets.worlds import START, at, make_instrument, make_venue, series
from tests.people import Person

pytestmark = pytest.mark.django_db
NOW = at(START + 86_400 * 2)


@pytest.fixture
def btc() -> Instrument:
    instrument = make_instrument()
    Run.objects.create(
        venue=instrument.venue, state=Run.State.RUNNING, started_at=clock.wall_now(), beat_at=clock.wall_now()
    )
    return instrument


def test_the_followed_instruments_with_the_state_of_their_feeds(client: Client, btc: Instrument) -> None:
    make_instrument("ETH/USDT", followed=False)
    make_instrument("XRP/USDT", venue=make_venue("elsewhere"))
    write_states(btc.venue_id, [SeriesState(btc.pk, FeedState.State.LIVE)], at(START))
    (found,) = client.get("/api/v1/instruments/").json()
    assert (found["id"], found["symbol"], found["venue"], found["market"]) == (btc.pk, "BTC/USDT", "test", "simulated")
    assert (found["state"], found["since"]) == ("live", "2026-03-02T00:00:00+00:00")


def test_no_market_is_an_empty_list(client: Client) -> None:
    assert client.get("/api/v1/instruments/").json() == []


def test_closed_candles_as_columns(client: Client, btc: Instrument) -> None:
    rows = series(btc, 67)
    store_closed(rows, source=Source.REST, now=NOW)
    found = client.get("/api/v1/candles/", {"instrument": btc.pk, "limit": 3}).json()
    assert found["open_time"] == [START + 60 * minute for minute in (64, 65, 66)]
    assert found["close"] == rows.ohlcv[-3:, 3].tolist()
    fives = client.get("/api/v1/candles/", {"instrument": str(btc.pk), "timeframe": "5m"}).json()
    assert fives["open_time"] == [START + 300 * n for n in range(13)]  # minutes 65 and 66 are a candle that still forms
    assert fives["high"][-1] == rows.ohlcv[60:65, 1].max()
    assert fives["volume"][0] == pytest.approx(rows.ohlcv[:5, 4].sum())


def test_an_instrument_without_candles_has_none(client: Client, btc: Instrument) -> None:
    assert client.get("/api/v1/candles/", {"instrument": btc.pk}).json()["open_time"] == []


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ({}, 400, "instrument: give a whole number"),
        ({"instrument": "x"}, 400, "instrument: give a whole number"),
        ({"instrument": "9" * 30}, 400, "instrument: give a whole number"),
        ({"instrument": "1", "timeframe": "7m"}, 400, "unknown timeframe '7m'"),
        ({"instrument": "1", "limit": "0"}, 400, "limit: give a whole number from 1 to 1500"),
        ({"instrument": "1", "limit": "1501"}, 400, "limit: give a whole number"),
        ({"instrument": "1", "limit": "-5"}, 400, "limit: give a whole number"),
        ({"instrument": "1", "limit": "٣"}, 400, "limit: give a whole number"),
        ({"instrument": "1", "limit": "1500", "timeframe": "1d"}, 400, "at most 300 candles of 1d"),
        ({"instrument": "99999999"}, 404, "no such instrument"),
    ],
)
def test_bad_questions_get_one_clear_sentence(
    client: Client, btc: Instrument, query: dict[str, str], status: int, says: str
) -> None:
    answer = client.get("/api/v1/candles/", query)
    assert answer.status_code == status
    assert says in str(answer.json()["detail"])


@pytest.mark.parametrize("word", ["venue", "instrument", "feedstate", "run", "refusal", "dayquality"])
def test_operators_can_look_at_all_of_it(operator: Person, btc: Instrument, word: str) -> None:
    write_states(btc.venue_id, [SeriesState(None, FeedState.State.DOWN, detail="<b>cut</b>")], at(START))
    Refusal.objects.create(instrument=btc, day=NOW.date(), reason="nan", count=2, sample={"ohlcv": ["nan"]})
    page = operator.client.get(reverse(f"admin:markets_{word}_changelist"))
    assert page.status_code == 200
    assert b"<b>cut</b>" not in page.content


def test_the_tick_is_all_an_operator_may_change(operator: Person, btc: Instrument) -> None:
    client = operator.client
    client.post(reverse("admin:markets_instrument_change", args=[btc.pk]), {"symbol": "HACK"})
    btc.refresh_from_db()
    assert (btc.symbol, btc.followed) == ("BTC/USDT", False)
    for action, followed in (("follow", True), ("unfollow", False)):
        client.post(reverse("admin:markets_instrument_changelist"), {"action": action, "_selected_action": [btc.pk]})
        btc.refresh_from_db()
        assert btc.followed is followed
    assert client.get(reverse("admin:markets_instrument_add")).status_code == 403
    assert client.get(reverse("admin:markets_instrument_delete", args=[btc.pk])).status_code == 403
