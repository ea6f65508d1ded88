"""`manage.py features` prints what a decision would be shown."""

import json
from datetime import UTC, datetime
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from lib import clock
from markets.candles import load_panel
from markets.models import Instrument
from models_ml.features import COLUMNS, LOOKBACK, build
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
    assert [line["name"] for line in lines] == [*COLUMNS, *MICRO_COLUMNS, *WORD_COLUMNS]
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal([line["value"] for line in lines[: len(COLUMNS)]], expected)
    assert all(line["value"] is None for line in lines[len(COLUMNS) :]), "no books, no trades, no words"
    assert all(line["source"] and line["unit"] for line in lines)


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
