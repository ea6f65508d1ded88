"""Patterns with their proof: the public page and the REST answer, both from the same facts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_GET

from markets.models import Run
from markets.runs import current_run
from models_ml.models import MiningRun, Pattern
from models_ml.patterns.mining import FDR, LEAST, SHARE
from models_ml.patterns.registry import PATTERNS
from models_ml.patterns.sketches import sketch
from models_ml.validation.metrics import wilson
from signals.wording import ARROWS, DIRECTIONS, listed, percent, signed

PAGE: Final = 50
SHOWN: Final = 200
"""Promoted and retired patterns on the page; beyond that the API."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What to show. `errors` names every input that was passed over, by field."""

    market_class: str = ""
    kind: str = ""
    errors: dict[str, str] = field(default_factory=dict)


def filters_of(query: QueryDict, classes: Sequence[str]) -> Filters:
    """Read the filters; a value that cannot be used is named in `errors` and left out."""
    errors: dict[str, str] = {}
    chosen = {}
    for name, choices in (("market_class", classes), ("kind", Pattern.Kind.values)):
        text = query.get(name, "")
        if text and text not in choices:
            errors[name] = f"{text[:20]!r} is unknown: choose one from the list"
        else:
            chosen[name] = text
    return Filters(**chosen, errors=errors)


def classes_of(run: Run | None) -> list[str]:
    """The market classes that were mined on the run's venue."""
    if run is None:
        return []
    found = MiningRun.objects.filter(venue_id=run.venue_id).values_list("market_class", flat=True)
    return sorted(set(found))


def patterns_of(run: Run | None, filters: Filters) -> QuerySet[Pattern]:
    """The patterns of the run's venue that the filters let through, best proof first."""
    if run is None:
        return Pattern.objects.none()
    chosen = {name: value for name in ("market_class", "kind") if (value := getattr(filters, name))}
    return Pattern.objects.filter(venue_id=run.venue_id, **chosen).order_by("p_value", "id")


def newest_runs(run: Run | None, market_class: str = "") -> list[MiningRun]:
    """The last finished search of each market class."""
    if run is None:
        return []
    done = MiningRun.objects.filter(venue_id=run.venue_id, state=MiningRun.State.DONE)
    if market_class:
        done = done.filter(market_class=market_class)
    return list(done.order_by("market_class", "-id").distinct("market_class"))


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """What was promoted, what was retired, and the graveyard."""
    run = current_run()
    classes = classes_of(run)
    filters = filters_of(request.GET, classes)
    found = patterns_of(run, filters)
    buried = found.filter(state=Pattern.State.CANDIDATE)
    shown = Paginator(buried, PAGE).get_page(request.GET.get("page"))
    query = request.GET.copy()
    query.pop("page", None)
    context: dict[str, Any] = {
        "filters": filters,
        "classes": classes,
        "kinds": Pattern.Kind.choices,
        "runs": [run_row(row) for row in newest_runs(run, filters.market_class)],
        "promoted": [row_of(row) for row in found.filter(state=Pattern.State.PROMOTED)[:SHOWN]],
        "retired": [row_of(row) for row in found.filter(state=Pattern.State.RETIRED).order_by("-retired_at")[:SHOWN]],
        "graveyard": [row_of(row) for row in shown.object_list],
        "page": shown,
        "query": query.urlencode(),
        "least": LEAST,
        "share": percent(SHARE),
        "fdr": percent(FDR),
    }
    return render(request, "signals/patterns.html", context)


def run_row(run: MiningRun) -> dict[str, Any]:
    """One search in words."""
    return {
        "market_class": run.market_class,
        "until": run.mined_until.timestamp() if run.mined_until else 0,
        "text": f"{run.instruments} instruments, {run.windows:,} windows named, {run.tried:,} hypotheses tried, "
        f"{run.candidates:,} tested on later data, {run.promoted:,} came through",
    }


def title_of(pattern: Pattern) -> str:
    """A named pattern's title, or the words behind a mined window."""
    named = PATTERNS.get(pattern.key)
    if named is not None:
        return named.title
    words = pattern.descriptor
    if not words:
        return pattern.key
    return (
        f"{words['length']} candles: {listed(words['moves'])}; RSI {words['rsi']}, volume {words['volume']}, "
        f"{_level(str(words['level']))}"
    )


def _level(word: str) -> str:
    return {"between": "between levels"}.get(word, f"near {word}")


def row_of(pattern: Pattern) -> dict[str, Any]:
    """One pattern as the page shows it: strings only."""
    return {
        "id": pattern.pk,
        "key": pattern.key,
        "title": title_of(pattern),
        "kind": pattern.get_kind_display(),
        "market_class": pattern.market_class,
        "attrs": {"direction": DIRECTIONS[pattern.direction]},
        "arrow": ARROWS[pattern.direction],
        "word": DIRECTIONS[pattern.direction],
        "line": " ".join(f"{x},{y}" for x, y in sketch(pattern.key, pattern.direction, pattern.descriptor)),
        "early": _share(pattern.early_hits, pattern.early_n),
        "later": _share(pattern.later_hits, pattern.later_n),
        "interval": _interval(pattern.later_hits, pattern.later_n),
        "ties": f"{pattern.later_ties:,} ties" if pattern.later_ties else "",
        "base": percent(pattern.base_rate, 1),
        "result": "–" if pattern.result_bps is None else signed(pattern.result_bps, 1, "bp"),
        "risk_reward": "–" if pattern.risk_reward is None else f"{pattern.risk_reward:.2f}",
        "p": _small(pattern.p_value),
        "q": _small(pattern.q_value),
        "live": _share(pattern.live_hits, pattern.live_n),
        "live_interval": _interval(pattern.live_hits, pattern.live_n),
        "last_seen": f"{pattern.last_seen:%Y-%m-%d}" if pattern.last_seen else "–",
        "retired": f"{pattern.retired_at:%Y-%m-%d}" if pattern.retired_at else "",
        "reason": pattern.reason,
    }


def _share(hits: int, n: int) -> str:
    """`57 % of 1,240`; without a case no rate."""
    return f"{percent(hits / n)} of {n:,}" if n else "n = 0"


def _interval(hits: int, n: int) -> str:
    low, high = wilson(hits, n)
    return f"{low * 100:.0f}–{high * 100:.0f}" if n else ""


def _small(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"


# ---- REST


def answer(run: Run | None, *, state: str, market_class: str, kind: str, after: int, limit: int) -> dict[str, Any]:
    """A page of patterns in the order of their ids, with the searches they come from."""
    found = patterns_of(run, Filters(market_class=market_class, kind=kind))
    counts = {value: found.filter(state=value).count() for value in Pattern.State.values}
    chosen = found.filter(Q(state=state) if state else Q(), pk__gt=after).order_by("pk")
    rows = list(chosen.select_related("run")[: limit + 1])
    return {
        "runs": [_run_answer(row) for row in newest_runs(run, market_class)],
        "counts": counts,
        "graveyard": counts[Pattern.State.CANDIDATE],
        "patterns": [_pattern_answer(row) for row in rows[:limit]],
        "next": rows[limit - 1].pk if len(rows) > limit else None,
    }


def _run_answer(run: MiningRun) -> dict[str, Any]:
    return {
        "market_class": run.market_class,
        "mined_until": int(run.mined_until.timestamp()) if run.mined_until else None,
        "split_at": int(run.split_at.timestamp()) if run.split_at else None,
        "instruments": run.instruments,
        "windows": run.windows,
        "tried": run.tried,
        "candidates": run.candidates,
        "promoted": run.promoted,
        "fdr": run.fdr,
    }


def _pattern_answer(pattern: Pattern) -> dict[str, Any]:
    return {
        "id": pattern.pk,
        "key": pattern.key,
        "title": title_of(pattern),
        "kind": pattern.kind,
        "state": pattern.state,
        "market_class": pattern.market_class,
        "direction": pattern.direction,
        "descriptor": pattern.descriptor or None,
        "searched": _rate_answer(pattern.early_hits, pattern.early_n),
        "out_of_sample": _rate_answer(pattern.later_hits, pattern.later_n),
        "ties": pattern.later_ties,
        "live": _rate_answer(pattern.live_hits, pattern.live_n),
        "base_rate": pattern.base_rate,
        "p_value": pattern.p_value,
        "q_value": pattern.q_value,
        "tried": pattern.run.tried,
        "result_bps": pattern.result_bps,
        "risk_reward": pattern.risk_reward,
        "last_seen": f"{pattern.last_seen:%Y-%m-%d}" if pattern.last_seen else None,
        "reason": pattern.reason,
    }


def _rate_answer(hits: int, n: int) -> dict[str, Any]:
    """No rate without a case."""
    low, high = wilson(hits, n)
    return {"n": n, "rate": hits / n if n else None, "low": low if n else None, "high": high if n else None}
