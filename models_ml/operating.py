"""What an operator does to models: each act with its audit row, the same for the console and the command line.

The caller has entered operator work: a console request, or `operator_work` of a command.
"""

from accounts.audit import record
from accounts.models import User
from lib.transactions import on_commit
from models_ml import muting, promotion
from models_ml.models import ModelVersion, Mute, Promotion, Verdict
from models_ml.promotion import PromotionError, Seat

Actor = User | str
"""A person, or the name of a command such as `command:rollback_model`."""


def roll_back(seat: Seat, actor: Actor, to: ModelVersion | None = None) -> Promotion:
    """Give a seat back to its earlier champion; raises `PromotionError`."""
    made = promotion.roll_back(seat, by=_name(actor), to=to)
    _record("model.rolled_back", actor, seat, before=str(made.before), after=str(made.version))
    return made


def promote(version: ModelVersion, actor: Actor) -> Promotion:
    """Give the seat to a candidate that won its test; raises `PromotionError`."""
    verdict = Verdict.objects.filter(challenge__candidate=version).select_related("challenge__candidate").first()
    if verdict is None:
        raise PromotionError(f"{version} has no concluded test: without one nobody becomes champion")
    made = promotion.promote(verdict, by=_name(actor))
    _record("model.promoted", actor, promotion.seat_of(version), before=str(made.before), after=str(version))
    return made


def mute(seat: Seat, actor: Actor) -> None:
    """Silence a voter until somebody lifts it or a new champion sits down; raises `MuteError`."""
    muting.mute(seat.venue_id, seat.market_class, seat.voter, Mute.Reason.OPERATOR, by=_name(actor))
    _record("voter.muted", actor, seat)


def unmute(seat: Seat, actor: Actor) -> None:
    """Let a voter speak again; raises `MuteError`."""
    if not muting.lift(seat.venue_id, seat.market_class, seat.voter, by=_name(actor)):
        raise muting.MuteError(f"{seat.voter} is not muted")
    _record("voter.unmuted", actor, seat)


def retrain(version: ModelVersion, actor: Actor) -> None:
    """Ask a worker to train this voter anew; what comes of it is a candidate like any other."""
    from models_ml.tasks import update  # tasks import what trains

    venue_key, voter = version.venue.key, version.voter
    _record("voter.retrained", actor, promotion.seat_of(version))
    on_commit(lambda: update.delay([voter], venue_key=venue_key))


def _name(actor: Actor) -> str:
    return f"user:{actor.pk}" if isinstance(actor, User) else actor


def _record(action: str, actor: Actor, seat: Seat, *, before: str = "", after: str = "") -> None:
    user, name = (actor, "") if isinstance(actor, User) else (None, actor)
    record(
        action,
        user=user,
        actor=name,
        venue=seat.venue_id,
        market_class=seat.market_class,
        voter=seat.voter,
        before=before,
        after=after,
    )
