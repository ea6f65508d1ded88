"""`manage.py features` prints what a decision would be shown."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from lib import clock
from markets.books import FlowMinute, store_flow
from markets.candles import load_panel
from markets.derivatives import Stat, store
from markets.models import Instrument
from markets.schedule import deactivate
from markets.values import Trade
from markets.venues import Capability
from models_ml.features import COLUMNS, LOOKBACK, VECTOR, build, build_vector, dollar_sides
from models_ml.features.cross_asset import CROSS_COLUMNS, CROSS_FEATURES, CROSS_LOOKBACK
from models_ml.features.microstructure import MICRO_COLUMNS
from models_ml.features.words import WORD_COLUMNS
from tests.factories_market import instruments_of, make_run, store_walk

pytestmark = pytest.mark.django_db
CLOSE = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def btc() -> Instrument:
    instrument = instruments_of(make_run(due_from=CLOSE))[0]
    store_walk(instrument, CLOSE, LOOKBACK)
    return instrument


def said(*words: str) -> str:
    out = StringIO()
    call_command("features", *words, stdout=out)
    return out.getvalue()


def test_the_row_is_that_of_a_decision(btc: Instrument) -> None:
    lines = json.loads(said("--instrument", "BTC/USDT", "--at", "2026-03-02T09:30:59Z", "--json"))
    panel = load_panel([btc.pk], clock.epoch(CLOSE), LOOKBACK)
    expected = build(panel.open_times, panel.ohlcv, 1)[0, 0]
    assert [line["name"] for line in lines] == [*VECTOR, *MICRO_COLUMNS, *WORD_COLUMNS]
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal([line["value"] for line in lines[: len(COLUMNS)]], expected)
    assert all(line["value"] is None for line in lines[len(COLUMNS) :]), "no others, no books, no trades, no words"
    assert all(line["source"] and line["unit"] for line in lines)


def test_books_trades_and_funding_are_shown_where_they_are_recorded(btc: Instrument) -> None:
    close = clock.epoch(CLOSE)
    tape = [FlowMinute(close - 60 * back) for back in range(5, 0, -1)]
    for minute in tape:
        minute.add(Trade(btc.symbol, minute.minute + 30.0, 100.0, 2.0, buy=True))
        store_flow(minute.minute, {btc.pk: minute.packed()})
    store([Stat(btc.pk, Capability.FUNDING, close - 600, 1e-4)])
    store([Stat(btc.pk, Capability.OPEN_INTEREST, close - at, value) for at, value in ((4000, 100.0), (60, 110.0))])
    said_ = json.loads(said("--instrument", "BTC/USDT", "--at", "2026-03-02T09:30Z", "--json"))
    found = {line["name"]: line["value"] for line in said_ if line["group"] == "microstructure"}
    assert (found["flow_60"], found["flow_delta"]) == (1.0, 1.0)
    assert found["funding_rate"] == pytest.approx(1.0)
    assert found["open_interest_change"] == pytest.approx(np.log(1.1))
    assert found["book_spread"] is None


SYMBOLS = ("BTC/USDT", "USD/JPY", "EUR/USD", "GBP/USD", "SOL/USDT")


@pytest.fixture
def shard(db: None) -> list[Instrument]:
    """Five instruments of one class, of which the last is no longer decided, and one of another class."""
    instruments = instruments_of(make_run(symbols=(*SYMBOLS, "XAU/USD"), due_from=CLOSE - timedelta(days=1)))
    for number, instrument in enumerate(instruments):
        store_walk(instrument, CLOSE, LOOKBACK, seed=number)
    Instrument.objects.filter(symbol="XAU/USD").update(market_class="metal")
    deactivate(instruments[4], CLOSE)
    return instruments


def test_what_the_others_do_is_that_of_the_decision(shard: list[Instrument]) -> None:
    together = shard[:4]
    panel = load_panel([one.pk for one in together], clock.epoch(CLOSE), LOOKBACK)
    dollar = dollar_sides([one.symbol for one in together])
    vector = build_vector(panel.open_times, panel.ohlcv, 1, dollar=dollar)[:, 0]
    for number, instrument in enumerate(together):
        lines = json.loads(said("--instrument", instrument.symbol, "--at", "2026-03-02T09:30Z", "--json"))
        across = [line for line in lines if line["group"] == "cross_asset"]
        assert [line["name"] for line in across] == list(CROSS_COLUMNS)
        assert [line["source"] for line in across] == [source for _, source, _ in CROSS_FEATURES.values()]
        assert {line["lookback"] for line in across} == {CROSS_LOOKBACK}
        given = [np.nan if line["value"] is None else line["value"] for line in across]
        np.testing.assert_array_equal(np.array(given, np.float32), vector[number, len(COLUMNS) :])
        assert np.isfinite(given[:-1]).all()
        assert (across[-1]["value"] is None) == ("USD" not in instrument.symbol.split("/")), "no dollar in the pair"
    text = said("--instrument", "BTC/USDT", "--at", "2026-03-02T09:30Z")
    assert "mean return of the others over 5 / σ √5" in text


def test_words_name_value_and_source(btc: Instrument) -> None:
    text = said("--instrument", f"BTC/USDT@{btc.venue.key}", "--at", "2026-03-02T09:30Z")
    assert "Wilder: (RSI − 50) / 50" in text
    assert "book_queue_imbalance" in text
    assert "unknown" in text


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--instrument", "XYZ"), "name exactly one"),
        (("--instrument", "BTC/USDT", "--at", "yesterday"), "ISO time with a zone"),
        (("--instrument", "BTC/USDT", "--at", "2026-03-02T09:30"), "ISO time with a zone"),
    ],
)
def test_bad_words_are_refused(btc: Instrument, words: tuple[str, ...], error: str) -> None:
    with pytest.raises(CommandError, match=error):
        said(*words)
