"""What sizing may learn from, and how its shadow did: nothing too early, nothing twice, and no verdict on little."""

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command
from pytest_django import Settings

from lib import clock
from lib.postgres import ensure_partitions
from models_ml.agents.sizing_rl import verdict
from models_ml.models import AgentVersion
from signals import panel_record
from signals.models import PanelRecord
from signals.sizing_record import LEARN_BACK, LEAST_DAYS, LEAST_JUDGED, figures_of, recorded
from signals.status import status
from tests.faults.witness import witnessing
from tests.models_ml.sizings import constant, store_sizing
from tests.signals.records import MINUTE, Market, candles, market
from tests.signals.shadows import seen, shadow, sized

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def made(db: None, settings: Settings, tmp_path: Path) -> Iterator[Market]:
    settings.ARTIFACTS_DIR = tmp_path
    found = market()
    clock.follow(lambda: found.now)
    yield found
    clock.release()


@pytest.fixture
def version(made: Market) -> AgentVersion:
    return store_sizing(made.run.venue, constant(0.007), made.now - timedelta(hours=1))


# ---- what is learned from


def test_decisions_are_told_oldest_first_as_they_were_taken(made: Market) -> None:
    btc, eth = made.instruments
    signals = [
        sized(btc, made.now - 5 * MINUTE, ratio=2.0, probability=0.57),
        sized(eth, made.now - 4 * MINUTE, probability=0.61),
        sized(btc, made.now - 3 * MINUTE, probability=0.55),
    ]
    for signal, result in zip(signals[::-1], ("tie", "lost", "won"), strict=True):
        seen(signal, result)
    found = recorded(made.run.venue_id, "crypto", made.now)
    assert found.decisions.times.tolist() == [clock.epoch(signal.close_time) for signal in signals]
    assert found.known.tolist() == [clock.epoch(signal.expires_at) for signal in signals]
    np.testing.assert_allclose(found.decisions.probability, [0.57, 0.61, 0.55])
    np.testing.assert_allclose(found.decisions.payout, [0.85] * 3)
    np.testing.assert_allclose(found.decisions.sigma, [2.0, 1.0, 1.0])
    assert found.decisions.won.tolist() == [1, -1, 0]


def test_nothing_that_was_judged_later_is_learned_from(made: Market) -> None:
    """Neither a minute that ended later, nor a candle that came later, nor a correction of later."""
    btc, eth = made.instruments
    corrected, belated = sized(btc, made.now - 9 * MINUTE), sized(eth, made.now - 8 * MINUTE)
    after, open_ = sized(btc, made.now - MINUTE / 2), sized(eth, made.now - 5 * MINUTE)
    seen(corrected, "won")
    seen(corrected, "lost", after=30 * MINUTE, revision=2)
    seen(belated, "won", after=30 * MINUTE)
    seen(after, "won")
    assert open_
    found = recorded(made.run.venue_id, "crypto", made.now)
    assert found.decisions.times.tolist() == [clock.epoch(corrected.close_time)]
    assert found.decisions.won.tolist() == [1]
    later = recorded(made.run.venue_id, "crypto", made.now + 60 * MINUTE)
    assert later.decisions.won.tolist() == [-1, 1, 1]
    assert later.known.tolist()[0] == clock.epoch(corrected.expires_at + 30 * MINUTE)


def test_what_neither_could_have_sized_is_left_out(made: Market) -> None:
    btc, eth = made.instruments
    seen(sized(btc, made.now - 9 * MINUTE, ratio=None), "won")
    seen(sized(eth, made.now - 9 * MINUTE, n=99), "won")
    seen(sized(btc, made.now - 8 * MINUTE), "void")
    assert len(recorded(made.run.venue_id, "crypto", made.now).decisions) == 0
    assert len(recorded(made.run.venue_id, "forex", made.now).decisions) == 0


def test_what_is_long_ago_is_left_out(made: Market) -> None:
    long_ago = made.now - LEARN_BACK - MINUTE
    ensure_partitions("signals_round", long_ago, long_ago)
    seen(sized(made.instruments[0], long_ago), "won")
    assert len(recorded(made.run.venue_id, "crypto", made.now).decisions) == 0


# ---- how the shadow did


def played(made: Market, version: AgentVersion, days: int, a_day: int) -> None:
    """Signals of which two in three are won; the shadow stakes 2 %, Kelly half of it."""
    first = made.now - DAY * days
    ensure_partitions("signals_round", first, made.now)
    for day in range(days):
        for minute in range(a_day):
            signal = sized(made.instruments[0], first + DAY * day + MINUTE * minute)
            shadow(signal, version, 0.02, 0.01)
            seen(signal, "lost" if minute % 3 == 0 else "won")


def test_without_a_judged_row_there_are_no_figures(made: Market, version: AgentVersion) -> None:
    assert figures_of(made.run.venue_id, "crypto", made.now) is None
    shadow(sized(made.instruments[0], made.now), version, 0.02, 0.01)
    assert figures_of(made.run.venue_id, "crypto", made.now) is None


def test_figures_are_those_of_a_comparison_on_the_judged_rows(made: Market, version: AgentVersion) -> None:
    played(made, version, days=3, a_day=6)
    late = sized(made.instruments[1], made.now - MINUTE)
    shadow(late, store_sizing(made.run.venue, constant(0.001), made.now), 0.0, 0.0)
    seen(late, "won")
    seen(late, "void", revision=2)
    found = figures_of(made.run.venue_id, "crypto", made.now)
    assert found is not None
    first = clock.epoch(made.now - 3 * DAY)
    times = np.array([first + 86_400 * day + 60 * minute for day in range(3) for minute in range(6)])
    brought = np.tile([-1, 0.85, 0.85], 6)
    expected = verdict(np.full(18, 0.02), np.full(18, 0.01), brought, times)
    for name in ("n", "policy", "kelly", "difference", "low", "high", "policy_drawdown", "kelly_drawdown"):
        assert found[name] == pytest.approx(expected[name]), name
    assert (found["first"], found["last"]) == (times[0], times[-1])
    assert found["versions"] == 1, "what was void in the end is no row"


def test_on_little_nobody_beats_anybody(made: Market, version: AgentVersion) -> None:
    played(made, version, days=3, a_day=6)
    found = figures_of(made.run.venue_id, "crypto", made.now)
    assert found is not None
    assert found["low"] > 0, "the interval alone would say so"
    assert found["beats"] is False
    assert found["missing"] == {"rows": LEAST_JUDGED - 18, "days": LEAST_DAYS - found["days"]}


# ---- kept for pages, and told


def test_the_review_keeps_the_figures_and_tells_an_operator_once(made: Market, version: AgentVersion) -> None:
    played(made, version, days=LEAST_DAYS, a_day=LEAST_JUDGED // LEAST_DAYS)
    candles(made.instruments[0], made.now + MINUTE, 60 * 24)
    with witnessing() as witness:
        first, second = panel_record.measure(made.run)[0], panel_record.measure(made.run)[0]
    figures = first.figures["sizing"]
    assert (figures["n"], figures["beats"]) == (LEAST_JUDGED, True)
    assert figures["missing"] == {"rows": 0, "days": 0}
    assert second.figures["sizing"] == figures
    assert witness.count("sizing_shadow_beats_kelly", market_class="crypto") == 1
    out = StringIO()
    call_command("review_panel", "--venue", made.run.venue.key, stdout=out)
    call_command("status", stdout=out)
    assert status()["sizing"]["crypto"]["n"] == LEAST_JUDGED
    assert out.getvalue().count("crypto: learned sizing beats volatility-targeted Kelly on 1,000 judged rows") == 2


def test_without_a_shadow_the_review_says_nothing_of_it(made: Market) -> None:
    sized(made.instruments[0], made.now - 2 * MINUTE)
    candles(made.instruments[0], made.now, 10)
    out = StringIO()
    call_command("review_panel", "--venue", made.run.venue.key, stdout=out)
    assert PanelRecord.objects.get().figures["sizing"] is None
    assert "sizing" not in out.getvalue()
