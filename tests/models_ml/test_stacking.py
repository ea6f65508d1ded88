"""The stack of a venue: learned on what no voter met, read only if it is what was written, its map refitted."""

from datetime import timedelta
from pathlib import Path
from shutil import copytree, rmtree

import numpy as np
import pytest
from django.conf import settings

from lib import clock
from markets.models import Run
from models_ml import judging, stacking
from models_ml.artifacts import content_hash
from models_ml.champions import stack_of
from models_ml.models import Calibration, ModelVersion, Mute
from models_ml.muting import mute
from models_ml.promotion import promote
from models_ml.samples import Samples
from models_ml.training import samples_of
from models_ml.voters import SEATS as PANEL
from models_ml.votes import AbstainReason
from tests.factories_market import instruments_of, store_series
from tests.factories_models import conclude, register
from tests.faults.witness import witnessing
from tests.trained import END, MINUTES, SEATS, Trained, forecastable

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("trained")]


@pytest.fixture
def samples(trained_run: Run) -> Samples:
    """The candles that the panel was trained on."""
    times = clock.epoch(END) - clock.MINUTE_S * np.arange(MINUTES, 0, -1, dtype=np.int64)
    for seed, instrument in enumerate(instruments_of(trained_run)):
        store_series(instrument, times, forecastable(MINUTES, seed))
    return samples_of([one.pk for one in instruments_of(trained_run)], clock.epoch(END), 2)


def version(run: Run) -> ModelVersion:
    return ModelVersion.objects.get(venue_id=run.venue_id, voter="meta", state="champion")


def test_training_ends_with_a_stack(trained: Trained) -> None:
    (row,) = trained.stacks
    assert (row["state"], row["kind"]) == ("champion", "full")
    assert row["metrics"]["later"]["auc"] > 0.8
    assert set(row["metrics"]["weights"]) == set(PANEL)
    assert row["metrics"]["unseen_from"] > max(one["metrics"]["unseen_from"] for one in trained.versions)
    (map_,) = trained.maps
    assert sum(n for n, _ in map_["knots"]["bins"].values()) == map_["n"] > 100


def test_a_replay_asks_about_unseen_minutes_only(trained: Trained, trained_run: Run, samples: Samples) -> None:
    seen = stacking.replay(trained_run.venue_id, "crypto", samples, most=10_000)
    assert seen is not None
    first = max(row["metrics"]["unseen_from"] for row in trained.versions)
    assert first <= seen.times.min() < first + 600
    voted = seen.votes.abstained == 0
    assert {seat for place, seat in enumerate(PANEL) if voted[:, place].any()} == set(SEATS)
    assert seen.votes.model_ids[PANEL.index("transformer")] == 0
    assert len(seen.times) == len(seen.labels) == len(seen.context)


def test_a_voter_is_silent_on_minutes_it_has_met_and_costs_the_others_none(
    trained: Trained, trained_run: Run, samples: Samples
) -> None:
    """One that was updated an hour ago, or whose books go back an hour, has met nearly all that the others have not."""
    first = max(row["metrics"]["unseen_from"] for row in trained.versions)
    late = clock.epoch(END) - 3600
    old = ModelVersion.objects.get(venue_id=trained_run.venue_id, voter="gru")
    new = ModelVersion.objects.get(pk=old.pk)
    new.pk, new.state, new.metrics = None, "candidate", old.metrics | {"unseen_from": late}
    new.save(force_insert=True)
    promote(conclude(register(new, old)), by="test")
    seen = stacking.replay(trained_run.venue_id, "crypto", samples, most=10_000)
    assert seen is not None
    assert first <= seen.times.min() < first + 600
    place = PANEL.index("gru")
    met = seen.times < late
    assert (seen.votes.abstained[met, place] == AbstainReason.UNTRAINED).all()
    assert np.isnan(seen.votes.probabilities[met, place]).all()
    assert (seen.votes.abstained[~met, place] == 0).all()
    assert (seen.votes.abstained[:, PANEL.index("xgb")] == 0).all()


def test_without_voters_or_minutes_there_is_no_replay(trained_run: Run, samples: Samples) -> None:
    assert stacking.replay(trained_run.venue_id, "forex", samples, most=10) is None
    assert stacking.replay(trained_run.venue_id, "crypto", samples.pick(np.arange(5)), most=10) is None


def test_the_stack_in_force_is_read_once_with_its_newest_map(stacked_run: Run) -> None:
    loaded = stack_of(stacked_run.venue_id, "crypto")
    assert loaded is not None
    assert loaded.model_id == version(stacked_run).pk
    assert stack_of(stacked_run.venue_id, "crypto") is loaded
    old = Calibration.objects.get(stack=loaded.model_id)
    new = old.knots | {"calibrator": old.knots["calibrator"] | {"intercept": 0.25}}
    Calibration.objects.create(
        venue=old.venue, market_class="crypto", seats=7, stack=old.stack, knots=new, n=1, trained_until=END
    )
    again = stack_of(stacked_run.venue_id, "crypto")
    assert again is not None
    assert again.stack.calibrator.intercept == 0.25


def test_without_a_stack_there_is_none(trained_run: Run) -> None:
    assert stack_of(trained_run.venue_id, "crypto") is None


@pytest.mark.parametrize("damage", ["flipped", "deleted", "missing"])
def test_a_damaged_stack_is_refused_and_told(stacked_run: Run, damage: str) -> None:
    old = version(stacked_run)
    name = f"{stacked_run.venue.key}/copies/{damage}-stack"
    folder = Path(settings.ARTIFACTS_DIR) / name
    copytree(Path(settings.ARTIFACTS_DIR) / old.path, folder, dirs_exist_ok=True)
    new = ModelVersion.objects.get(pk=old.pk)
    new.pk, new.state, new.path, new.sha256 = None, "candidate", name, content_hash(folder)
    new.save(force_insert=True)
    promote(conclude(register(new, old)), by="test")
    if damage == "flipped":
        (folder / "stack.json").write_text((folder / "stack.json").read_text().replace("rows", "sown", 1))
    elif damage == "deleted":
        (folder / "stack.json").unlink()
    else:
        rmtree(folder)
    with witnessing() as witness:
        assert stack_of(stacked_run.venue_id, "crypto") is None
    assert witness.count("stack_refused", model_id=new.pk) == 1


def test_a_muted_stack_says_nothing(stacked_run: Run) -> None:
    mute(stacked_run.venue_id, "crypto", "meta", Mute.Reason.OPERATOR, by="user:1")
    assert stack_of(stacked_run.venue_id, "crypto") is None


def test_its_map_is_refitted_on_revealed_outcomes(stacked_run: Run, samples: Samples) -> None:
    seen = stacking.replay(stacked_run.venue_id, "crypto", samples, most=10_000)
    assert seen is not None
    assert stacking.refit(version(stacked_run), seen)
    first, second = Calibration.objects.filter(stack=version(stacked_run)).order_by("pk")
    assert second.n <= len(seen.times)
    assert set(second.knots) == set(first.knots) == {"calibrator", "bins"}


def test_a_map_that_knows_minutes_of_a_test_has_no_part_in_it(stacked_run: Run, samples: Samples) -> None:
    """The nightly refit gives the stack in the chair a map of the very minutes on which it is held to a candidate."""
    champion = version(stacked_run)
    twin = ModelVersion.objects.get(pk=champion.pk)
    twin.pk, twin.state = None, "candidate"
    twin.save(force_insert=True)
    (known,) = champion.maps.all()
    facts = {"venue": known.venue, "market_class": "crypto", "seats": 7, "n": 1}
    told = known.knots | {"calibrator": known.knots["calibrator"] | {"intercept": 3.0}}
    Calibration.objects.create(stack=twin, knots=known.knots, trained_until=known.trained_until, **facts)
    closes = END + timedelta(minutes=300)
    Calibration.objects.create(stack=champion, knots=told, trained_until=closes, **facts)
    test = register(twin, champion, least_n=1, closes_at=closes)
    later = clock.epoch(END) + clock.MINUTE_S * np.arange(301, dtype=np.int64)
    for seed, instrument in enumerate(instruments_of(stacked_run)):
        store_series(instrument, later, forecastable(301, seed + 20))
    verdict = judging.conclude(test, by="test")
    assert verdict.n > 500
    assert verdict.gain == 0.0, "the same stack with the same map"


def test_what_is_stated_is_counted_as_it_would_be(stacked_run: Run, samples: Samples) -> None:
    """A bin's cases are statements for the side the stack leans to; what it is sure of came true more often."""
    seen = stacking.replay(stacked_run.venue_id, "crypto", samples, most=10_000)
    loaded = stack_of(stacked_run.venue_id, "crypto")
    assert seen is not None
    assert loaded is not None
    bins = stacking.bins_of(loaded.stack, loaded.stack.predict(*seen.facts), seen)
    assert sum(n for n, _ in bins.values()) == len(seen.times)
    counted = {int(number): right / n for number, (n, right) in bins.items() if n >= 50}
    assert counted[max(counted)] > 0.7
    assert all(0 <= right <= n for n, right in bins.values())
