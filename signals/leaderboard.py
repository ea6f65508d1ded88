"""The leaderboard of voters: live and validation record, age, challengers, drift, and how they err together."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from lib import clock
from markets.models import Run
from markets.runs import current_run, market_time
from models_ml.models import Challenge, ModelVersion, Mute, TrainingRun, Verdict
from models_ml.voters import SEATS, STACK, STACK_MAX_AGE, VOTERS
from signals.agent_lines import agents_of
from signals.models import PanelRecord
from signals.panel_record import newest
from signals.wording import MINUS, duration_text, percent, phrase

LEAST_RANKED: Final = 500
"""Judged sides under which a voter has no rank: luck would give it one."""
RUNS: Final = 8
STALE_AFTER_S: Final = 3 * 3600
IMPORTANT: Final = 10
LEVELS: Final = ((0.6, "strong"), (0.3, "some"), (0.1, "little"), (-0.1, "none"))
"""Correlation from which a cell is called so; below all of them it is "opposite"."""
DASH: Final = "–"

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """Rows of the registry that concern one market class, by voter."""

    champions: dict[str, ModelVersion]
    waiting: dict[str, Challenge]
    verdicts: dict[str, Verdict]
    mutes: dict[str, Mute]


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """One table a market class, the same for everybody: figures of a whole venue are no single signal."""
    run = current_run()
    context = {
        "classes": [_class(run, name) for name in _classes(run)] if run else [],
        "agents": agents_of(run) if run else [],
        "runs": _trainings(run) if run else [],
        "least": LEAST_RANKED,
    }
    return render(request, "signals/models.html", context)


def _classes(run: Run) -> list[str]:
    models = ModelVersion.objects.filter(venue_id=run.venue_id).values_list("market_class", flat=True)
    measured = PanelRecord.objects.filter(venue_id=run.venue_id).values_list("market_class", flat=True)
    return sorted({*models, *measured})


def _class(run: Run, market_class: str) -> Line:
    record = newest(run.venue_id, market_class)
    figures = record.figures if record else {}
    standing, now = standing_of(run.venue_id, market_class), market_time(run)
    measured_s = (clock.wall_now() - record.measured_at).total_seconds() if record else None
    xgb = standing.champions.get("xgb")
    return {
        "name": market_class,
        "rows": ranked([voter_line(seat, figures, standing, now) for seat in SEATS]),
        "stack": voter_line(STACK, figures, standing, now),
        "rounds": f"{figures.get('rounds', 0):,}",
        "first": figures.get("first", 0),
        "last": figures.get("last", 0),
        "measured": None if measured_s is None else f"{duration_text(measured_s)} ago",
        "stale": measured_s is not None and measured_s > STALE_AFTER_S,
        "heat": heat_map(figures.get("correlation", [])),
        "importances": importances_of(xgb),
    }


def standing_of(venue_id: int, market_class: str) -> Standing:
    """Who sits, who waits, how the last tests ended and who is silent."""
    seats = ModelVersion.objects.filter(venue_id=venue_id, market_class=market_class)
    champions = {row.voter: row for row in seats.filter(state=ModelVersion.State.CHAMPION)}
    tests = Challenge.objects.filter(candidate__venue_id=venue_id, candidate__market_class=market_class)
    waiting = {row.candidate.voter: row for row in tests.filter(verdict=None).select_related("candidate")}
    concluded = Verdict.objects.filter(challenge__in=tests).select_related("challenge__candidate")
    newest = concluded.order_by("challenge__candidate__voter", "-challenge_id").distinct("challenge__candidate__voter")
    mutes = Mute.objects.filter(venue_id=venue_id, market_class=market_class, lifted_at=None)
    return Standing(
        champions,
        waiting,
        {row.challenge.candidate.voter: row for row in newest},
        {row.voter: row for row in mutes},
    )


def voter_line(seat: str, figures: dict[str, Any], standing: Standing, now: datetime) -> Line:
    """One row of the table: display-ready words."""
    live = figures.get("voters", {}).get(seat) or {}
    champion = standing.champions.get(seat)
    spec = VOTERS.get(seat)
    added = figures.get("contributions", {}).get(seat)
    return {
        "key": seat,
        "title": spec.title if spec else "Stack",
        "n": live.get("n", 0),
        "count": f"{live.get('n', 0):,}",
        "skill": live.get("brier_skill"),
        "hit_rate": _rate(live),
        "interval": _interval(live),
        "baseline": _share(live.get("baseline")),
        "brier": _figure(live.get("brier"), 4),
        "slope": _figure(live.get("slope"), 2),
        "added": "" if added is None or not live.get("votes") else f"{_signed(added * 1e4)} bp",
        "validation": _validation(champion),
        "version": f"v{champion.pk}" if champion else "",
        "age": _age(champion, seat, now),
        "trained": champion.trained_at.timestamp() if champion else 0,
        "state": _state(seat, champion, standing),
        "challenger": _challenger(seat, standing),
        "drift": _drift(standing.mutes.get(seat)),
    }


def ranked(lines: Iterable[Line]) -> list[Line]:
    """Voters with enough judged sides first, by Brier skill; the others after them, without a rank."""
    lines = list(lines)
    able = [line for line in lines if line["n"] >= LEAST_RANKED and line["skill"] is not None]
    able.sort(key=lambda line: -line["skill"])
    for rank, line in enumerate(able, start=1):
        line["rank"] = str(rank)
    return able + [line for line in lines if "rank" not in line]


def heat_map(correlation: list[list[float | None]]) -> list[Line]:
    """Rows of the table of error correlations; the colour of a cell says what its number says.

    Voters that were never judged have neither row nor column.
    """
    shown = [place for place, values in enumerate(correlation) if any(value is not None for value in values)]
    return [
        {
            "title": VOTERS[SEATS[row]].title,
            "cells": [
                _cell(None if column == row else correlation[row][column], same=column == row) for column in shown
            ],
        }
        for row in shown
    ]


def _cell(value: float | None, *, same: bool) -> Line:
    if same:
        return {"text": "same", "level": "same"}
    return {"text": DASH if value is None else _figure(value, 2), "level": _level(value)}


def importances_of(version: ModelVersion | None) -> list[Line]:
    """The weightiest features of the XGBoost champion, with the length of their bars (0 to 100)."""
    weights = (version.metrics.get("importances") or {}) if version else {}
    found = sorted(weights.items(), key=lambda item: -item[1])[:IMPORTANT]
    most = max((share for _, share in found), default=1.0) or 1.0
    return [
        {"name": phrase(name, {}), "share": percent(share, 1), "width": round(100 * share / most)}
        for name, share in found
    ]


def _trainings(run: Run) -> list[Line]:
    rows = TrainingRun.objects.filter(venue_id=run.venue_id).order_by("-id")[:RUNS]
    return [
        {
            "started": row.started_at.timestamp(),
            "kind": row.get_kind_display(),
            "profile": row.profile,
            "state": row.get_state_display(),
            "running": row.state == TrainingRun.State.RUNNING,
            "voter": VOTERS[row.voter].title if row.voter in VOTERS else row.voter,
            "done": row.done,
            "total": row.total,
            "took": duration_text((row.finished_at - row.started_at).total_seconds()) if row.finished_at else "",
            "detail": row.detail,
        }
        for row in rows
    ]


def _state(seat: str, champion: ModelVersion | None, standing: Standing) -> str:
    if seat in standing.mutes:
        return "muted"
    if champion is None:
        return "no key" if seat in VOTERS and VOTERS[seat].llm else "untrained"
    return "champion"


def _challenger(seat: str, standing: Standing) -> str:
    """The test that runs, else how the last one ended."""
    if test := standing.waiting.get(seat):
        return f"v{test.candidate_id} is tested until {test.closes_at:%d %b %H:%M} UTC, n ≥ {test.least_n:,}"
    if verdict := standing.verdicts.get(seat):
        word = "won" if verdict.won else f"lost: {verdict.reason}"
        return f"v{verdict.challenge.candidate_id} {word}"
    return ""


def _drift(mute: Mute | None) -> str:
    return (mute.detail or f"by {mute.get_reason_display().lower()}") if mute else ""


def _age(champion: ModelVersion | None, seat: str, now: datetime) -> str:
    if champion is None:
        return ""
    age = (now - champion.trained_until).total_seconds()
    limit = VOTERS[seat].max_age if seat in VOTERS else STACK_MAX_AGE
    return f"{duration_text(age)} of {duration_text(limit)}"


def _validation(champion: ModelVersion | None) -> str:
    later = (champion.metrics.get("later") or {}) if champion else {}
    if not later.get("n") or later.get("accuracy") is None:
        return ""
    return f"{percent(later['accuracy'], 1)} of {later['n']:,}"


def _rate(live: Line) -> str:
    return "" if live.get("hit_rate") is None else percent(live["hit_rate"], 1)


def _interval(live: Line) -> str:
    return f"{live['low'] * 100:.1f}–{live['high'] * 100:.1f}" if live.get("n") else ""


def _share(value: float | None) -> str:
    return "" if value is None else percent(value, 1)


def _figure(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}".replace("-", MINUS)


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", MINUS)


def _level(value: float | None) -> str:
    if value is None:
        return "unknown"
    return next((name for least, name in LEVELS if value >= least), "opposite")
