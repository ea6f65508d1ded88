"""A venue's candles mined: what was tried, found and believed is on record, and a later night changes candidates."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from lib import clock
from markets.models import Instrument, Run
from models_ml import prospecting
from models_ml.models import MiningRun, Pattern
from models_ml.patterns.mining import Mined, Record, Trial
from models_ml.prospecting import NothingToMineError, prospect, record
from tests.factories_market import instruments_of, make_run, store_series
from tests.models_ml.patterns.planted import LENGTH, planted

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 2, tzinfo=UTC)
SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
STEPS = 4400


@pytest.fixture
def run() -> Run:
    return make_run("simulated", symbols=SYMBOLS)


def stored(run: Run, steps: int = STEPS) -> None:
    """The planted market as stored candles."""
    _, ohlcv, _ = planted(1, steps=steps)
    times = clock.epoch(START) + 60 * np.arange(steps, dtype=np.int64)
    for instrument, candles in zip(instruments_of(run), ohlcv, strict=True):
        store_series(instrument, times, candles)


def test_a_search_is_recorded_with_everything_it_tried(run: Run) -> None:
    stored(run)
    (mined,) = prospect(run.venue)
    assert (mined.state, mined.market_class, mined.instruments) == ("done", "crypto", 3)
    assert mined.tried > mined.candidates > mined.promoted > 0
    assert mined.mined_until == START + timedelta(minutes=STEPS)
    assert mined.split_at is not None
    assert START < mined.split_at < mined.mined_until
    assert Pattern.objects.count() == mined.candidates
    assert Pattern.objects.filter(state="promoted").count() == mined.promoted
    for row in Pattern.objects.filter(state="promoted"):
        assert row.q_value <= mined.fdr
        assert row.promoted_at == mined.mined_until
    assert not Pattern.objects.filter(state="candidate", q_value__lte=mined.fdr).exists()
    window = Pattern.objects.filter(kind="mined", state="promoted").first()
    assert window is not None
    assert set(window.descriptor) == {"length", "moves", "rsi", "volume", "level"}
    assert Pattern.objects.filter(kind="named").exists(), "named patterns are tested beside the mined ones"
    assert LENGTH in set(Pattern.objects.filter(kind="mined").values_list("descriptor__length", flat=True))


def test_a_second_night_leaves_promoted_and_retired_patterns_as_they_were(run: Run) -> None:
    first = MiningRun.objects.create(venue=run.venue, market_class="crypto", started_at=START, mined_until=START)
    record(first, found(trial("a", q=0.01), trial("b", q=0.9), trial("c", q=0.01)))
    Pattern.objects.filter(key="c").update(state="retired", retired_at=START)
    second = MiningRun.objects.create(venue=run.venue, market_class="crypto", started_at=START, mined_until=START)
    record(
        second, found(trial("a", q=0.9, n=99), trial("b", q=0.02, n=99), trial("c", q=0.01, n=99), trial("d", q=1.0))
    )
    rows = {row.key: (row.state, row.later_n, row.run_id) for row in Pattern.objects.all()}
    assert rows == {
        "a": ("promoted", 20, first.pk),
        "b": ("promoted", 99, second.pk),
        "c": ("retired", 20, first.pk),
        "d": ("candidate", 20, second.pk),
    }
    second.refresh_from_db()
    assert (second.tried, second.candidates, second.promoted, second.state) == (100, 4, 2, "done")


def test_markets_do_not_share_patterns(run: Run) -> None:
    other = make_run("live")
    for venue in (run.venue, other.venue):
        mining = MiningRun.objects.create(venue=venue, market_class="crypto", started_at=START, mined_until=START)
        record(mining, found(trial("a", q=0.01)))
    assert Pattern.objects.count() == 2


def found(*trials: Trial) -> Mined:
    return Mined(trials, tried=100, split_at=clock.epoch(START), windows=5000, base_up=0.49, base_down=0.5)


def trial(key: str, *, q: float, n: int = 20) -> Trial:
    past = Record(n, n - 2, 0, 3.0, 1.2, clock.epoch(START), clock.epoch(START) + 60)
    return Trial("mined", key, 1, {"length": 5}, past, past, 0.49, q / 100, q)


def test_too_little_history_is_said_with_its_remedy(run: Run) -> None:
    with pytest.raises(NothingToMineError, match="3 days of candles"):
        prospect(run.venue)
    stored(run, 1000)
    with pytest.raises(NothingToMineError):
        prospect(run.venue)
    assert MiningRun.objects.count() == 0


def test_the_end_and_the_length_can_be_chosen(run: Run) -> None:
    stored(run)
    assert prospecting.LEAST_MINUTES < STEPS
    with pytest.raises(NothingToMineError):
        prospect(run.venue, until=START + timedelta(days=1))
    with pytest.raises(NothingToMineError):
        prospect(run.venue, days=2)


def test_instruments_that_are_not_followed_are_left_out(run: Run) -> None:
    Instrument.objects.filter(venue=run.venue).update(followed=False)
    with pytest.raises(NothingToMineError):
        prospect(run.venue)


def test_the_command_reports_and_refuses(run: Run) -> None:
    stored(run)
    out = StringIO()
    call_command("mine_patterns", as_json=True, stdout=out)
    (row,) = json.loads(out.getvalue())
    assert (row["market_class"], row["instruments"]) == ("crypto", 3)
    assert row["tried"] > row["candidates"]
    with pytest.raises(CommandError, match="no venue 'nowhere'"):
        call_command("mine_patterns", venue="nowhere")
    with pytest.raises(CommandError, match="is no time"):
        call_command("mine_patterns", until="yesterday")
    with pytest.raises(CommandError, match="at least 3"):
        call_command("mine_patterns", days=1)
