"""`manage.py status` and `manage.py train`: what a terminal gets."""

import json
from argparse import ArgumentTypeError
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from lib import clock
from lib.postgres import ensure_partitions
from markets.models import FeedState, Run
from models_ml.models import TrainingRun
from signals.management.commands.status import duration
from signals.publishing import save_rounds
from tests.factories_market import MINUTE, decided, instruments_of, make_run, store_series
from tests.models_ml.agents.markets import market
from tests.trained import END

pytestmark = pytest.mark.django_db


def said(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


@pytest.fixture
def now() -> datetime:
    at = clock.floor_minute(clock.wall_now())
    ensure_partitions("signals_round", at, at)
    return at


@pytest.fixture
def run(now: datetime) -> Run:
    run = make_run()
    FeedState.objects.create(venue=run.venue, state="live", since=now)
    save_rounds(run, [decided(instruments_of(run)[0], now - MINUTE)])
    return run


def test_status_reads_as_lines(run: Run) -> None:
    text = said("status")
    assert text.startswith(f"market   {run.venue.title} (simulated, running)\n")
    assert "rounds   issued 1  silent 0" in text
    assert "lstm           votes 1" in text
    assert "grok           votes 0  untrained 1" in text
    assert "feed     simulated-0 live since" in text


def test_status_without_a_market_says_so() -> None:
    assert said("status").startswith("no market yet\n")


def test_status_as_json(run: Run) -> None:
    facts = json.loads(said("status", "--json"))
    assert facts["rounds"]["issued"] == 1
    assert json.loads(said("status", "--json", "--since", "1s"))["rounds"]["issued"] == 0


@pytest.mark.parametrize(
    ("word", "length"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("6h", timedelta(hours=6)),
        ("2d", timedelta(days=2)),
    ],
)
def test_durations(word: str, length: timedelta) -> None:
    assert duration(word) == length


@pytest.mark.parametrize("word", ["", "h", "6", "6 h", "-6h", "6hours", "1.5h"])
def test_what_is_no_duration_is_named_with_the_remedy(word: str) -> None:
    with pytest.raises(ArgumentTypeError, match="is no duration: use a number and s, m, h or d"):
        duration(word)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--venue", "mars"), "no venue 'mars': known are none yet"),
        ((), "no market yet: name one with --venue, or start `make run` first"),
    ],
)
def test_train_names_the_venue_it_cannot_find(words: tuple[str, ...], error: str) -> None:
    with pytest.raises(CommandError) as caught:
        said("train", *words)
    assert str(caught.value) == error


def test_train_lists_the_venues_there_are(run: Run) -> None:
    with pytest.raises(CommandError, match=f"known are {run.venue.key}$"):
        said("train", "--venue", "mars")


@pytest.mark.parametrize("until", ["yesterday", "2025-05-20", "2025-05-20T12:00:00"])
def test_train_wants_a_time_with_a_zone(run: Run, until: str) -> None:
    with pytest.raises(CommandError, match=f"--until '{until}' is no time: use 2025-05-20T12:00:00Z"):
        said("train", "--until", until)


def test_train_without_candles_is_one_clear_line_and_a_failed_run(run: Run) -> None:
    with pytest.raises(CommandError, match="has no instrument with a day of candles: import or download some first"):
        said("train", "--json")
    training = TrainingRun.objects.get()
    assert (training.state, training.finished_at is None) == ("failed", False)
    assert "import or download" in training.detail


def test_train_tells_what_agents_learned_and_which_stay_silent(settings: Settings, tmp_path: Path) -> None:
    settings.ARTIFACTS_DIR = tmp_path
    run, made = make_run(), market()
    times = made.open_times + (clock.epoch(END) - clock.MINUTE_S - made.open_times[-1])
    for row, instrument in enumerate(instruments_of(run)):
        store_series(instrument, times, made.ohlcv[row])
    words = ("train", "--venue", run.venue.key, "--seats")
    found = json.loads(said(*words, "--json"))
    assert [(line["class"], line["agent"]) for line in found["agents"]] == [
        ("crypto", "volatility"), ("crypto", "moves"),
    ]  # fmt: skip
    assert found["agents"][1]["n_60"] > 0
    assert found["detail"].startswith("crypto without regime: ")
    text = said(*words)
    assert "crypto   volatility     n_15 " in text
    assert found["detail"] in text
