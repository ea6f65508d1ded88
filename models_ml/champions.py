"""The models in force, loaded once per process and replaced when a new champion is named."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import structlog
from django.conf import settings
from django.db.models import QuerySet

from lib import clock
from models_ml import artifacts
from models_ml.features import FEATURES_HASH
from models_ml.models import Calibration, ModelVersion
from models_ml.muting import muted_seats
from models_ml.panel import LoadedModel
from models_ml.voters import LOCAL_SEATS, STACK
from models_ml.voters.base import CorruptArtifact
from models_ml.votes import AbstainReason

if TYPE_CHECKING:
    from models_ml.agents.meta import Stack

log = structlog.get_logger(__name__)

_loaded: dict[tuple[int, str, str], tuple[int, LoadedModel | AbstainReason]] = {}
"""(venue, market class, seat) → version and what was read of it; a new champion takes the place of the old one."""
_stacks: dict[tuple[int, str], tuple[tuple[int, int], "LoadedStack | None"]] = {}
"""(venue, market class) → numbers of version and map, and what was read of them."""
_lock = Lock()


def champions(venue_id: int, market_class: str) -> dict[str, LoadedModel | AbstainReason]:
    """Seat → its loaded champion, or why it has none; untrained seats are absent.

    CORRUPT: its files are not what was written. TOO_OLD: it learned from the feature columns of an earlier release.
    MUTED: drift or an operator silenced it.
    """
    muted = muted_seats(venue_id, market_class)
    found = {version.voter: _load(version) for version in _seated(venue_id).filter(market_class=market_class)}
    return found | dict.fromkeys(muted.keys() & found.keys(), AbstainReason.MUTED)


def warm(venue_id: int) -> None:
    """Load every champion of a venue now, so that no minute pays for the imports."""
    for version in _seated(venue_id):
        _load(version)
    classes = ModelVersion.objects.filter(venue_id=venue_id, voter=STACK).values_list("market_class", flat=True)
    for market_class in set(classes):
        stack_of(venue_id, market_class)


def _seated(venue_id: int) -> QuerySet[ModelVersion]:
    """The champions that have a vote."""
    champions_ = ModelVersion.objects.filter(venue_id=venue_id, state=ModelVersion.State.CHAMPION)
    return champions_.exclude(voter=STACK)


def calibration_of(venue_id: int, market_class: str, seats: int) -> Calibration | None:
    """The newest calibration of the panel's lean for that size of panel."""
    found = Calibration.objects.filter(venue_id=venue_id, market_class=market_class, seats=seats, stack=None)
    return found.order_by("-id").first()


@dataclass(frozen=True, slots=True)
class LoadedStack:
    """The stack in force with its newest map, and the past of its statements: bin → (cases, right)."""

    stack: "Stack"
    model_id: int
    bins: dict[int, tuple[int, int]]


def stack_of(venue_id: int, market_class: str) -> LoadedStack | None:
    """The stack of a class; None where there is none, or where its files are not what was written (logged)."""
    version = ModelVersion.objects.filter(
        venue_id=venue_id, market_class=market_class, voter=STACK, state=ModelVersion.State.CHAMPION
    ).first()
    if version is None or STACK in muted_seats(venue_id, market_class):
        return None
    newest = version.maps.order_by("-id").first()
    key = version.pk, newest.pk if newest else 0
    with _lock:
        if _stacks.get((venue_id, market_class), (None, None))[0] != key:
            _stacks[venue_id, market_class] = key, load_stack(version, newest)
        return _stacks[venue_id, market_class][1]


def load_stack(version: ModelVersion, newest: Calibration | None) -> LoadedStack | None:
    """A stack with one of its maps, read afresh; None where its files are not what was written (logged)."""
    folder = Path(settings.ARTIFACTS_DIR) / version.path
    try:
        stack = artifacts.read_stack(folder, version.sha256, FEATURES_HASH)
    except CorruptArtifact as error:
        log.error("stack_refused", model_id=version.pk, error=str(error))  # noqa: TRY400  # it says all
        return None
    knots = newest.knots if newest else {"bins": {}}
    if newest:
        from models_ml.agents.calibration import Calibrator  # a worker's

        stack = replace(stack, calibrator=Calibrator.from_json(knots["calibrator"]))
    bins = {int(number): (int(n), int(right)) for number, (n, right) in knots["bins"].items()}
    return LoadedStack(stack, version.pk, bins)


def read_champions(
    venue_id: int, market_class: str, seats: Sequence[str] = LOCAL_SEATS
) -> dict[str, tuple[ModelVersion, LoadedModel]]:
    """Each of these seats → its champion, read afresh; those that cannot be read are left out, as in a round."""
    versions = ModelVersion.objects.filter(
        venue_id=venue_id, market_class=market_class, state=ModelVersion.State.CHAMPION, voter__in=seats
    )
    read = {version.voter: (version, _read(version)) for version in versions}
    return {seat: (version, model) for seat, (version, model) in read.items() if isinstance(model, LoadedModel)}


def unseen_from(version: ModelVersion) -> int:
    """The first decision (epoch second) that a model never met; an older row says only until when it was trained."""
    return int(version.metrics.get("unseen_from") or clock.epoch(version.trained_until))


def _load(version: ModelVersion) -> LoadedModel | AbstainReason:
    seat = version.venue_id, version.market_class, version.voter
    with _lock:
        if seat not in _loaded or _loaded[seat][0] != version.pk:
            _loaded[seat] = version.pk, _read(version)
        return _loaded[seat][1]


def _read(version: ModelVersion) -> LoadedModel | AbstainReason:
    folder = Path(settings.ARTIFACTS_DIR) / version.path
    try:
        voter = artifacts.read(folder, version.voter, version.sha256, FEATURES_HASH)
    except artifacts.WrongFeatures as error:  # sound, but of an earlier release: training takes it from here
        log.warning("model_outdated", voter=version.voter, model_id=version.pk, error=str(error))
        return AbstainReason.TOO_OLD
    except CorruptArtifact as error:
        log.error("model_refused", voter=version.voter, model_id=version.pk, error=str(error))  # noqa: TRY400  # it says all
        return AbstainReason.CORRUPT
    return LoadedModel(voter, version.pk, version.threshold, float(clock.epoch(version.trained_until)))
