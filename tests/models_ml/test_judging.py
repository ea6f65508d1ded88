"""Candidates on their way to a chair: registered before their minutes exist, judged on them, and fault 49."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from pytest_django import Settings

from lib import clock
from markets.models import Run
from models_ml import artifacts, challenges, judging, promotion
from models_ml.challenges import REFRESH_MARGIN
from models_ml.features import VECTOR
from models_ml.models import Challenge, ModelVersion, Promotion
from models_ml.samples import Samples
from models_ml.storing import Origin, store
from models_ml.training import samples_of
from models_ml.voters import VOTERS
from models_ml.voters.xgb import XgbVoter
from tests.factories_market import instruments_of, make_run, store_series, store_walk
from tests.factories_models import candidate, crown, register
from tests.trained import END, TINY, forecastable

pytestmark = pytest.mark.django_db

PAST, FUTURE = 2_000, 1_500
"""Minutes stored when the test is registered, and minutes that follow: a day and an hour."""
REGISTERED = END - timedelta(minutes=FUTURE)


class Market:
    """Two instruments that can be forecast, stored up to the registration; `go_on` stores what follows."""

    def __init__(self) -> None:
        self.run = make_run("live")
        self.series = {one: forecastable(PAST + FUTURE, seed) for seed, one in enumerate(instruments_of(self.run))}
        self.times = clock.epoch(END) - clock.MINUTE_S * np.arange(PAST + FUTURE, 0, -1, dtype=np.int64)
        self._store(slice(0, PAST))

    def go_on(self) -> None:
        self._store(slice(PAST, None))

    def _store(self, part: slice) -> None:
        for instrument, ohlcv in self.series.items():
            store_series(instrument, self.times[part], ohlcv[part])

    def samples(self) -> Samples:
        ids = [instrument.pk for instrument in self.series]
        return samples_of(ids, clock.epoch(REGISTERED), 2)

    def enter(self, learned: Samples, kind: str = "full", until: datetime = REGISTERED) -> ModelVersion:
        """Train on `learned` and enter: the first sits down, any other is put to its test."""
        middle = int(np.quantile(learned.index[:, 1], 0.8))
        early, late = learned.index[:, 1] < middle, learned.index[:, 1] >= middle
        voter = XgbVoter(VECTOR)
        voter.fit(learned.pick(early), learned.pick(late), TINY)
        first = min(clock.from_epoch(int(learned.open_times[0])), until - timedelta(days=1))
        origin = Origin(self.run.venue, "crypto", "tiny", kind, 7, first, until, {})
        return store(voter, origin, threshold=0.0, metrics={})


@pytest.fixture
def market(db: None, settings: Settings, tmp_path: Path) -> Iterator[Market]:
    settings.ARTIFACTS_DIR = tmp_path
    yield Market()
    clock.release()


def noise(samples: Samples) -> Samples:
    """The same features with outcomes that have nothing to do with them: labels shifted by an hour and a bit."""
    return replace(samples, ohlcv=np.roll(samples.ohlcv, 67, axis=1))


def constant(samples: Samples) -> Samples:
    """Every minute rose."""
    ohlcv = samples.ohlcv.copy()
    ohlcv[..., 3] = ohlcv[..., 0] * 1.001
    return replace(samples, ohlcv=ohlcv)


def leaked(samples: Samples) -> Samples:
    """Every column is the outcome: perfect in training, and nothing of it is there afterwards."""
    features = samples.features.copy()
    told = np.full(samples.ohlcv.shape[:2], np.nan)
    told[samples.index[:, 0], samples.index[:, 1]] = samples.labels()
    features[:] = told[:, -features.shape[1] :, None]
    return replace(samples, features=features)


# ---- registration


def test_the_first_model_sits_down_and_the_second_is_put_to_the_test(market: Market) -> None:
    first, second = market.enter(market.samples()), market.enter(market.samples())
    assert (first.state, second.state) == ("champion", "candidate")
    test = Challenge.objects.get()
    assert (test.candidate, test.champion, test.metric, test.margin) == (second, first, "brier", 0.0)
    assert (test.opens_at, test.closes_at) == (REGISTERED, REGISTERED + timedelta(hours=24))


def test_a_test_opens_after_every_candle_that_is_stored(market: Market) -> None:
    market.enter(market.samples())
    market.go_on()
    late = market.enter(market.samples())
    assert late.challenge.opens_at == END


def test_an_update_is_judged_over_a_shorter_window(market: Market, settings: Settings) -> None:
    market.enter(market.samples())
    update = market.enter(market.samples(), kind="update")
    assert update.challenge.closes_at - update.challenge.opens_at == timedelta(minutes=625), (
        "two instruments, 1000 rows"
    )
    settings.CHALLENGE_ROWS = 100
    again = market.enter(market.samples(), kind="update")
    assert again.challenge.closes_at - again.challenge.opens_at == timedelta(hours=4)
    assert challenges.under_test(market.run.venue_id, "update") == {"xgb"}
    assert challenges.under_test(market.run.venue_id, "full") == set()


def test_an_ageing_champion_may_be_refreshed_by_an_equal(market: Market) -> None:
    now = clock.wall_now()
    old = crown(candidate(market.run.venue, trained_until=now - timedelta(days=8)))
    fresh = candidate(market.run.venue, trained_until=now)
    assert challenges.terms_for(fresh, old, now).margin == REFRESH_MARGIN
    assert challenges.terms_for(fresh, old, now - timedelta(days=2)).margin == 0.0


def test_what_is_not_over_is_not_due(market: Market) -> None:
    market.enter(market.samples())
    test = market.enter(market.samples()).challenge
    clock.follow(lambda: test.closes_at)
    assert challenges.due(market.run) == []
    clock.follow(lambda: test.closes_at + timedelta(minutes=2))
    assert challenges.due(market.run) == [test]


# ---- verdicts


def test_a_better_candidate_wins_and_sits_down(market: Market) -> None:
    poor = market.enter(noise(market.samples()))
    good = market.enter(market.samples())
    market.go_on()
    call_command("judge_candidates", "--venue", market.run.venue.key)
    verdict = good.challenge.verdict
    assert (verdict.won, verdict.reason) == (True, "")
    assert verdict.n > 2_500
    assert (verdict.gain_low or 0.0) > 0.05
    assert promotion.champion_of(promotion.seat_of(poor)) == good
    assert Promotion.objects.latest("pk").verdict == verdict
    assert challenges.due(market.run) == []


def test_without_auto_promotion_a_winner_waits_for_an_operator(market: Market, settings: Settings) -> None:
    settings.AUTO_PROMOTE = False
    poor = market.enter(noise(market.samples()))
    good = market.enter(market.samples())
    market.go_on()
    verdict = judging.conclude(good.challenge, by="test")
    good.refresh_from_db()
    assert (verdict.won, good.state) == (True, "candidate")
    assert promotion.champion_of(promotion.seat_of(poor)) == poor


@pytest.mark.parametrize("poison", [noise, constant, leaked], ids=["shifted labels", "constant", "leaked"])
def test_a_poisoned_retrain_is_never_promoted(market: Market, poison: Callable[[Samples], Samples]) -> None:
    """Fault 49: trained for real on bad data, judged for real on untouched minutes."""
    champion = market.enter(market.samples())
    poisoned = market.enter(poison(market.samples()))
    market.go_on()
    verdict = judging.conclude(poisoned.challenge, by="test")
    poisoned.refresh_from_db()
    assert (verdict.won, poisoned.state) == (False, "beaten")
    assert verdict.reason
    assert promotion.champion_of(promotion.seat_of(champion)) == champion
    assert Promotion.objects.filter(kind="won").count() == 0


def test_minutes_that_never_came_win_nothing(market: Market) -> None:
    market.enter(noise(market.samples()))
    good = market.enter(market.samples())
    verdict = judging.conclude(good.challenge, by="test")
    assert (verdict.won, verdict.n) == (False, 0)
    assert verdict.reason == "0 decided minutes, 1000 needed"


def test_a_test_against_a_champion_that_left_decides_nothing(market: Market) -> None:
    market.enter(noise(market.samples()))
    slow, quick = market.enter(market.samples()), market.enter(market.samples(), kind="update")
    market.go_on()
    assert judging.conclude(quick.challenge, by="test").won
    verdict = judging.conclude(slow.challenge, by="test")
    assert (verdict.won, verdict.reason) == (False, "the champion has changed since")


def test_a_candidate_without_files_loses(market: Market) -> None:
    market.enter(noise(market.samples()))
    good = market.enter(market.samples())
    promotion.remove_files(good)
    market.go_on()
    verdict = judging.conclude(good.challenge, by="test")
    assert (verdict.won, verdict.reason) == (False, "its files cannot be read")


def test_a_test_that_cannot_be_judged_stops_no_other(market: Market) -> None:
    champion, odd = market.enter(noise(market.samples())), market.enter(market.samples())
    folder = Path(settings.ARTIFACTS_DIR) / odd.path
    told = json.loads((folder / "voter.json").read_text())
    (folder / "voter.json").write_text(json.dumps(told | {"columns": told["columns"][1:]}))
    strange = candidate(
        market.run.venue, path=odd.path, sha256=artifacts.content_hash(folder), trained_until=REGISTERED
    )
    register(strange, champion)
    good = market.enter(market.samples())
    market.go_on()
    with pytest.raises(CommandError, match="1 test could not be judged"):
        call_command("judge_candidates", "--venue", market.run.venue.key)
    good.refresh_from_db()
    assert good.state == "champion"
    assert challenges.due(market.run) == [strange.challenge], "it is tried again"


def test_a_champion_without_files_is_held_against_the_base_rate(market: Market) -> None:
    lost = market.enter(market.samples())
    good = market.enter(market.samples())
    promotion.remove_files(lost)
    market.go_on()
    verdict = judging.conclude(good.challenge, by="test")
    assert verdict.won
    assert verdict.gain == pytest.approx(verdict.skill)


def test_a_champion_past_its_age_is_as_silent_in_a_test_as_in_a_round(market: Market) -> None:
    """Six hours of the window it would have voted in; an equal that goes on speaking wins the rest."""
    limit = timedelta(seconds=VOTERS["xgb"].max_age)
    champion = market.enter(market.samples(), until=REGISTERED - limit + timedelta(hours=6))
    fresh = market.enter(market.samples())
    market.go_on()
    verdict = judging.conclude(fresh.challenge, by="test")
    assert verdict.won
    assert verdict.candidate_loss is not None
    assert verdict.champion_loss is not None
    assert verdict.candidate_loss < verdict.champion_loss
    champion.refresh_from_db()
    assert champion.state == "retired"


def test_the_window_holds_the_minutes_of_the_test_only(market: Market) -> None:
    market.enter(market.samples())
    test = market.enter(market.samples()).challenge
    market.go_on()
    samples = judging.window_of(test)
    times = samples.open_times[samples.index[:, 1]] + clock.MINUTE_S
    assert clock.from_epoch(int(times.min())) == test.opens_at + timedelta(minutes=1)
    assert clock.from_epoch(int(times.max())) == test.closes_at
    assert (samples.labels() >= 0).all(), "the outcome of the last minute is known"


def test_a_venue_without_a_market_is_named(db: None) -> None:
    with pytest.raises(Exception, match="venue 'nowhere' has no market"):
        call_command("judge_candidates", "--venue", "nowhere")


def test_another_venues_tests_are_not_its_own(market: Market) -> None:
    market.enter(market.samples())
    market.enter(market.samples())
    other: Run = make_run("live", key="other")
    store_walk(instruments_of(other)[0], END, 10)
    clock.follow(lambda: END + timedelta(days=3))
    assert challenges.due(other) == []
