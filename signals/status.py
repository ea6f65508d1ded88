"""The state of the platform in one dictionary: what `manage.py status` prints and the operator's page shows."""

from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from lib import clock
from markets import quality
from markets.models import Instrument, Run
from markets.quality import shown_states
from markets.runs import current_run, market_time
from models_ml.models import ModelVersion, TrainingRun
from models_ml.voters import SEATS, VOTERS
from models_ml.votes import AbstainReason
from signals.health import waiting_tasks
from signals.models import Outcome, PanelRecord, Round

_VOTES = """
SELECT seat, why, count(*) FROM signals_round r
JOIN markets_instrument i ON i.id = r.instrument_id,
     unnest(r.abstained) WITH ORDINALITY AS answer(why, seat)
WHERE i.venue_id = %s AND r.close_time > %s AND r.close_time <= %s AND (why > 0 OR seat <= r.seats)
GROUP BY 1, 2
"""
_OUTCOMES = """
SELECT o.result, count(*) FROM signals_signal s
JOIN markets_instrument i ON i.id = s.instrument_id
JOIN LATERAL (SELECT result FROM signals_outcome o WHERE o.signal_id = s.id ORDER BY revision DESC LIMIT 1) o ON true
WHERE i.venue_id = %s AND s.close_time > %s AND s.close_time <= %s GROUP BY 1
"""


def status(since: timedelta = timedelta(hours=1)) -> dict[str, Any]:
    """Counts over the last `since` of the market clock, and what feeds, models and queues look like now."""
    run = current_run()
    if run is None:
        return _nothing()
    return status_of(run, since, market_time(run))


def status_of(run: Run, since: timedelta, now: datetime) -> dict[str, Any]:
    """The same for any run, at `now` of its market clock."""
    window = (run.venue_id, now - since, now)
    rounds = _counts(
        "SELECT r.state, count(*) FROM signals_round r JOIN markets_instrument i ON i.id = r.instrument_id "
        "WHERE i.venue_id = %s AND r.close_time > %s AND r.close_time <= %s GROUP BY 1",
        window,
    )
    outcomes = _counts(_OUTCOMES, window)
    return {
        "market": {"venue": run.venue.key, "title": run.venue.title, "kind": run.venue.kind, "state": run.state},
        "clock": {
            "market": now.isoformat(),
            "wall": clock.wall_now().isoformat(),
            "speed": run.speed_reached or run.speed,
        },
        "feeds": _feeds(run),
        "rounds": {state: rounds.get(state, 0) for state in Round.State.values},
        "votes": _votes(window),
        "signals": rounds.get(Round.State.ISSUED, 0),
        "outcomes": {result: outcomes.get(result, 0) for result in Outcome.Result.values},
        "models": _models(run),
        "sizing": _sizing(run),
        "quality": _quality(run, now),
        "queues": _queues(run),
    }


def _nothing() -> dict[str, Any]:
    return {
        "market": None,
        "clock": {"market": None, "wall": clock.wall_now().isoformat(), "speed": None},
        "feeds": {},
        "rounds": dict.fromkeys(Round.State.values, 0),
        "votes": {seat: {"votes": 0, "abstained": {}} for seat in SEATS},
        "signals": 0,
        "outcomes": dict.fromkeys(Outcome.Result.values, 0),
        "models": {},
        "sizing": {},
        "quality": {},
        "queues": {},
    }


def _counts(query: str, window: tuple[Any, ...]) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(query, window)
        return dict(cursor.fetchall())


def _votes(window: tuple[int, datetime, datetime]) -> dict[str, Any]:
    found: dict[str, Any] = {seat: {"votes": 0, "abstained": {}} for seat in SEATS}
    with connection.cursor() as cursor:
        cursor.execute(_VOTES, window)
        for place, reason, n in cursor.fetchall():
            seat = found[SEATS[place - 1]]
            if reason:
                seat["abstained"][AbstainReason(reason).word] = n
            else:
                seat["votes"] = n
    return found


def _feeds(run: Run) -> dict[str, Any]:
    names = dict(Instrument.objects.filter(venue_id=run.venue_id).values_list("pk", "symbol"))
    return {
        run.venue.key if key is None else f"{names[key]}@{run.venue.key}": {
            "state": row.state,
            "since": row.since.isoformat(),
            "last_message_at": row.last_message_at.isoformat() if row.last_message_at else None,
            "reconnects": row.reconnects,
        }
        for key, row in shown_states(run).items()
    }


def _models(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for version in ModelVersion.objects.filter(venue_id=run.venue_id, state=ModelVersion.State.CHAMPION):
        title = VOTERS[version.voter].title if version.voter in VOTERS else "Stack"
        classes = found.setdefault(version.voter, {"title": title, "classes": {}})["classes"]
        classes[version.market_class] = {
            "id": version.pk,
            "profile": version.profile,
            "trained_until": version.trained_until.isoformat(),
            "metrics": version.metrics,
        }
    return found


def _sizing(run: Run) -> dict[str, Any]:
    """Market class → how the shadow of the learned sizing did when it was last measured."""
    newest = PanelRecord.objects.filter(venue_id=run.venue_id).order_by("market_class", "-id").distinct("market_class")
    return {row.market_class: found for row in newest if (found := row.figures.get("sizing"))}


def _quality(run: Run, now: datetime) -> dict[str, Any]:
    ids = dict(Instrument.objects.filter(venue_id=run.venue_id, followed=True).values_list("pk", "symbol"))
    hours, days = quality.scores(list(ids), clock.epoch(now))
    return {symbol: {"hour": hours.get(id_), "day": days.get(id_)} for id_, symbol in ids.items()}


def _queues(run: Run) -> dict[str, Any]:
    training = TrainingRun.objects.filter(venue_id=run.venue_id).order_by("-id").first()
    return {
        "waiting": waiting_tasks(),
        "training": training
        and {"state": training.state, "voter": training.voter, "done": training.done, "total": training.total},
        "feed_beat_age_s": (clock.wall_now() - run.beat_at).total_seconds() if run.beat_at else None,
    }
