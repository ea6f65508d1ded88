"""Who sits in a chair: the first model of an empty seat, the winner of a registered test, or one that comes back.

The database holds the same rules (`models_ml/migrations/0003_promotion.py`, `0007_bootstrap_again.py`): no path around
this module exists.
"""

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Max, QuerySet
from prometheus_client import Counter

from lib import clock
from lib.errors import CandorError
from lib.transactions import on_commit
from models_ml import muting
from models_ml.features import FEATURES_HASH
from models_ml.models import ModelVersion, Promotion, Verdict

log = structlog.get_logger(__name__)
PROMOTED = Counter("candor_models_promoted_total", "Models that took a seat", ["voter", "kind"])

KEPT_RETIRED = 5
"""Retired models of a seat whose files are kept, those who sat there last; rows are kept for ever."""


class PromotionError(CandorError):
    """A model that may not take the seat."""


@dataclass(frozen=True, slots=True)
class Seat:
    """One chair: a voter, or `meta` for the stack, in one market class of one venue."""

    venue_id: int
    market_class: str
    voter: str


def seat_of(version: ModelVersion) -> Seat:
    """The chair that a model was trained for."""
    return Seat(version.venue_id, version.market_class, version.voter)


def champion_of(seat: Seat) -> ModelVersion | None:
    """Who sits there now."""
    return _models(seat).filter(state=ModelVersion.State.CHAMPION).first()


def is_empty_for(version: ModelVersion) -> bool:
    """Whether the chair is empty, or held by a model of other feature columns, which can no longer answer."""
    present = champion_of(seat_of(version))
    return present is None or present.features_hash != version.features_hash


def bootstrap(version: ModelVersion, *, by: str) -> Promotion:
    """Let the first model of an empty seat take it without a test, marked as such."""
    return _seat(version, Promotion.Kind.BOOTSTRAP, None, by)


def promote(verdict: Verdict, *, by: str) -> Promotion:
    """Let the winner of a concluded test take the seat.

    Raises:
        PromotionError: the test is not won, or the champion it was held against has left since.
    """
    test = verdict.challenge
    if not verdict.won:
        raise PromotionError(f"{test.candidate} has not won its test: only a won test makes a champion")
    present = champion_of(seat_of(test.candidate))
    if present is None or present.pk != test.champion_id:
        raise PromotionError(f"{test.candidate} won against {test.champion}, which has left the seat: train it anew")
    return _seat(test.candidate, Promotion.Kind.WON, verdict, by)


def roll_back(seat: Seat, *, by: str, to: ModelVersion | None = None) -> Promotion:
    """Give the seat back to the champion before the present one, or to `to`.

    Raises:
        PromotionError: nobody sat there before, its files are gone, or it learned from other feature columns than those
            of this release, so that it could not answer.
    """
    version = to or before(seat)
    if version is None:
        raise PromotionError(f"no earlier champion of {seat.voter} is left to roll back to")
    if not (Path(settings.ARTIFACTS_DIR) / version.path).is_dir():
        raise PromotionError(f"the files of {version} are gone: it cannot come back")
    if version.features_hash != FEATURES_HASH:
        raise PromotionError(f"{version} learned from the columns of another release: it could not answer, train anew")
    return _seat(version, Promotion.Kind.ROLLBACK, None, by)


def before(seat: Seat) -> ModelVersion | None:
    """The newest other champion that still has its files and reads the columns of this release."""
    present = champion_of(seat)
    past = Promotion.objects.filter(
        venue_id=seat.venue_id, market_class=seat.market_class, voter=seat.voter, features_hash=FEATURES_HASH
    )
    versions = [row.version for row in past.select_related("version").order_by("-pk")]
    others = [version for version in versions if present is None or version.pk != present.pk]
    return next((one for one in others if (Path(settings.ARTIFACTS_DIR) / one.path).is_dir()), None)


def set_aside(version: ModelVersion) -> None:
    """Mark a candidate as beaten and remove its files; the row and its test stay."""
    ModelVersion.objects.filter(pk=version.pk).update(state=ModelVersion.State.BEATEN)
    on_commit(partial(remove_files, version))


def remove_files(version: ModelVersion) -> None:
    """Delete a model's folder; what is gone already is gone."""
    shutil.rmtree(Path(settings.ARTIFACTS_DIR) / version.path, ignore_errors=True)


def _models(seat: Seat) -> QuerySet[ModelVersion]:
    return ModelVersion.objects.filter(venue_id=seat.venue_id, market_class=seat.market_class, voter=seat.voter)


def _seat(version: ModelVersion, kind: Promotion.Kind, verdict: Verdict | None, by: str) -> Promotion:
    seat = seat_of(version)
    with transaction.atomic():
        held = list(_models(seat).filter(state=ModelVersion.State.CHAMPION).select_for_update())
        present = held[0] if held else None
        made = Promotion.objects.create(
            version=version,
            venue_id=seat.venue_id,
            market_class=seat.market_class,
            voter=seat.voter,
            features_hash=version.features_hash,
            kind=kind,
            verdict=verdict,
            before=present,
            at=clock.wall_now(),
            by=by,
        )
        ModelVersion.objects.filter(pk__in=[one.pk for one in held]).update(state=ModelVersion.State.RETIRED)
        ModelVersion.objects.filter(pk=version.pk).update(state=ModelVersion.State.CHAMPION)
        muting.lift(seat.venue_id, seat.market_class, seat.voter, by=by)
        _forget_old(seat)
    PROMOTED.labels(seat.voter, kind).inc()
    log.info("model_promoted", voter=seat.voter, model_id=version.pk, kind=str(kind), by=by)
    return made


def _forget_old(seat: Seat) -> None:
    retired = _models(seat).filter(state=ModelVersion.State.RETIRED)
    retired = retired.annotate(sat=Max("promotions__pk")).order_by("-sat")  # one that came back may be the oldest
    for version in retired[KEPT_RETIRED:]:
        on_commit(partial(remove_files, version))
