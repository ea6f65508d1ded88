"""The models in force, loaded once per process and replaced when a new champion is named."""

from pathlib import Path
from threading import Lock

import structlog
from django.conf import settings

from lib import clock
from models_ml import artifacts
from models_ml.features import FEATURES_HASH
from models_ml.models import Calibration, ModelVersion
from models_ml.panel import LoadedModel
from models_ml.voters.base import CorruptArtifact
from models_ml.votes import AbstainReason

log = structlog.get_logger(__name__)

_loaded: dict[tuple[int, str, str], tuple[int, LoadedModel | AbstainReason]] = {}
"""(venue, market class, seat) → version and what was read of it; a new champion takes the place of the old one."""
_lock = Lock()


def champions(venue_id: int, market_class: str) -> dict[str, LoadedModel | AbstainReason]:
    """Seat → its loaded champion, or why it has none; untrained seats are absent.

    CORRUPT: its files are not what was written. TOO_OLD: it learned from the feature columns of an earlier release.
    """
    versions = ModelVersion.objects.filter(
        venue_id=venue_id, market_class=market_class, state=ModelVersion.State.CHAMPION
    )
    return {version.voter: _load(version) for version in versions}


def warm(venue_id: int) -> None:
    """Load every champion of a venue now, so that no minute pays for the imports."""
    for version in ModelVersion.objects.filter(venue_id=venue_id, state=ModelVersion.State.CHAMPION):
        _load(version)


def calibration_of(venue_id: int, market_class: str, seats: int) -> Calibration | None:
    """The newest calibration for that size of panel."""
    found = Calibration.objects.filter(venue_id=venue_id, market_class=market_class, seats=seats)
    return found.order_by("-id").first()


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
