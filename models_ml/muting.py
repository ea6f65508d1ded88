"""Silencing a voter: it abstains as `muted` in every round until the mute is lifted, and the rows say why and when."""

import structlog
from django.db import transaction
from prometheus_client import Counter

from lib import clock
from lib.errors import CandorError
from models_ml.models import Mute

log = structlog.get_logger(__name__)
MUTED = Counter("candor_voters_muted_total", "Voters that were silenced", ["voter", "reason"])


class MuteError(CandorError):
    """A mute that changes nothing."""


def muted_seats(venue_id: int, market_class: str) -> dict[str, Mute]:
    """Voter → its open mute."""
    return {row.voter: row for row in Mute.objects.filter(venue_id=venue_id, market_class=market_class, lifted_at=None)}


def mute(venue_id: int, market_class: str, voter: str, reason: Mute.Reason, *, by: str, detail: str = "") -> Mute:
    """Silence a voter.

    Raises:
        MuteError: it is silent already.
    """
    with transaction.atomic():
        if voter in muted_seats(venue_id, market_class):
            raise MuteError(f"{voter} is muted already: lift that mute first")
        made = Mute.objects.create(
            venue_id=venue_id,
            market_class=market_class,
            voter=voter,
            reason=reason,
            detail=detail[:200],
            muted_at=clock.wall_now(),
            muted_by=by,
        )
    MUTED.labels(voter, reason).inc()
    log.warning("voter_muted", voter=voter, reason=str(reason), detail=detail, by=by)
    return made


def lift(venue_id: int, market_class: str, voter: str, *, by: str) -> bool:
    """Let a voter speak again; whether it was silent."""
    open_ = Mute.objects.filter(venue_id=venue_id, market_class=market_class, voter=voter, lifted_at=None)
    lifted = open_.update(lifted_at=clock.wall_now(), lifted_by=by)
    if lifted:
        log.info("voter_unmuted", voter=voter, by=by)
    return bool(lifted)
