"""The whole pipeline over recordings, as `manage.py replay` runs it."""

from datetime import timedelta
from io import StringIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from lib import clock
from markets.models import Run, Venue
from markets.runs import current_run
from models_ml.models import ModelVersion
from signals.models import Outcome, Round, Signal
from signals.replay import EmptyReplay, Window, replay
from tests.factories_market import make_run
from tests.trained import TINY, forecastable

START = 1_748_000_040
HISTORY, TOLD = 2_400, 12


@pytest.fixture
def recordings(tmp_path: Path) -> list[Path]:
    """Two recordings of made-up candles that a panel can learn something from."""
    found = []
    for seed, name in enumerate(("BTCUSDT", "ETHUSDT")):
        rows = forecastable(HISTORY + TOLD, seed)
        times = START + clock.MINUTE_S * np.arange(HISTORY + TOLD, dtype=np.int64)
        columns = {name: rows[:, at] for at, name in enumerate(("open", "high", "low", "close", "volume"))}
        path = tmp_path / f"made_{name}.parquet"
        pq.write_table(pa.table({"ts": pa.array(times * 1000, pa.timestamp("ms", "UTC")), **columns}), path)
        found.append(path)
    return found


@pytest.mark.django_db(transaction=True)
def test_every_minute_is_decided_judged_and_never_shown(recordings: list[Path]) -> None:
    shown = make_run()
    window = Window(last=timedelta(minutes=TOLD))
    report = replay(recordings, window, profile=TINY, say=lambda line: None)
    assert report["minutes"] == TOLD
    assert sum(report["rounds"].values()) == 2 * TOLD
    assert report["rounds"]["missed"] == 0
    assert report["signals"] == Signal.objects.count() == report["rounds"]["issued"]
    judged = report["outcomes"]
    assert sum(judged.values()) == Outcome.objects.count() == report["signals"]
    assert report["hit_rate"] is None or report["hit_rate"]["n"] == judged["won"] + judged["lost"] + judged["tie"]
    assert report["votes"]["xgb"]["votes"] > 0
    run = Run.objects.get(background=True)
    assert (run.state, current_run()) == (Run.State.ENDED, shown)
    assert run.market_end == clock.from_epoch(START + 60 * (HISTORY + TOLD))
    first = Round.objects.order_by("close_time").values_list("close_time", flat=True)[0]
    assert ModelVersion.objects.filter(venue=run.venue, trained_until__gt=first).count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_window_outside_the_recordings_is_refused(recordings: list[Path]) -> None:
    late = clock.from_epoch(START + 60 * (HISTORY + TOLD + 5))
    with pytest.raises(EmptyReplay, match="choose an earlier --from"):
        replay(recordings, Window(start=late), profile=TINY, say=lambda line: None)
    assert not Venue.objects.exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--candles", "nowhere/*.parquet"], "no such file"),
        (["--candles", __file__, "--from", "yesterday"], "--from 'yesterday' is no time"),
        (["--candles", __file__, "--to", "2025-05-20T12:00:00"], "is no time with a zone"),
    ],
)
def test_the_command_says_what_is_wrong(words: list[str], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        call_command("replay", *words, stdout=StringIO())


@pytest.mark.django_db(transaction=True)
def test_the_command_refuses_what_is_no_recording() -> None:
    with pytest.raises(CommandError):
        call_command("replay", "--candles", __file__, "--json", stdout=StringIO())
