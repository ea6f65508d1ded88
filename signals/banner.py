"""Which market the pages show, in words that cannot be mistaken: live, simulated or replayed."""

from typing import Any

from lib.clock import from_epoch
from markets.models import Run, Venue
from models_ml.models import TrainingRun
from models_ml.voters import SEATS, VOTERS
from signals.wording import duration_text

_NOTHING = {"kind": "none", "headline": "No market yet", "detail": "The feed has not started."}


def market_of(run: Run | None) -> dict[str, str]:
    """Slots of the market strip; also the body of a `market` event."""
    if run is None:
        return dict(_NOTHING)
    headline, detail = _WORDS[Venue.Kind(run.venue.kind)](run)
    if run.state == Run.State.LOADING:
        detail = f"{detail} Loading history."
    return {"kind": run.venue.kind, "headline": headline, "detail": detail}


def _live(run: Run) -> tuple[str, str]:
    detail = "Public market data." if run.state != Run.State.ENDED else "This feed has ended."
    return f"Live: {run.venue.title}", detail


def _simulated(run: Run) -> tuple[str, str]:
    return "Simulated market", "Prices are made up by a random process. Nothing here is real."


def _replay(run: Run) -> tuple[str, str]:
    headline = f"Replay of {run.venue.title} at ×{run.speed:g}"
    if run.state == Run.State.ENDED:
        return headline, "Recording ended."
    reached = f" Speed reached: ×{run.speed_reached:.0f}." if run.speed_reached else ""
    day = f" Recorded {from_epoch(run.market_at.timestamp()):%Y-%m-%d}." if run.market_at else ""
    return headline, f"Not the present.{day}{reached}"


_WORDS = {Venue.Kind.LIVE: _live, Venue.Kind.SIMULATED: _simulated, Venue.Kind.REPLAY: _replay}


def progress_of(run: Run | None) -> dict[str, Any]:
    """Slots of the training line; empty where nothing trains. Also the body of a `progress` event."""
    if run is None:
        return {}
    training = TrainingRun.objects.filter(venue_id=run.venue_id, state=TrainingRun.State.RUNNING)
    newest = training.order_by("-started_at").first()
    return progress_line(newest.voter, newest.done, newest.total) if newest else {}


def progress_line(voter: str, done: int, total: int) -> dict[str, Any]:
    """What the training line says of `voter`, the `done`-th of `total`."""
    title = VOTERS[voter].title if voter in SEATS else voter
    count = f"{done} of {total}" if total else "starting"
    return {"title": title, "count": count, "done": done, "total": total}


def delay_line(delay_s: int) -> str:
    """How far behind a viewer looks; empty where nothing is held back."""
    return duration_text(delay_s) if delay_s else ""
