"""Figures of volatility forecasts as a terminal table, as kept JSON, and as a page."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models_ml.evaluation.results import renew
from models_ml.evaluation.volatility import BAR, Scored

TITLES = {
    "forecast": "the forecast",
    BAR: "log-HAR, hour profile",
    "garch": "GARCH(1,1)-t",
    "garch_net": "GARCH(1,1)-t and network",
}
INTRODUCTION = """## Volatility

Realised variance (sum of squared 1-minute log returns) over the next 15 and 60 minutes, forecast every fifth minute of
the test part. QLIKE is y/f − log(y/f) − 1; the ratio is to that of the bar, log-HAR with an hour profile, which is
fitted anew every day for each instrument by itself. In brackets the 95 % interval of the paired ratio, drawn over whole
days. The forecast is one pooled linear model a market class, fitted anew whenever its past has grown by 5 %, at most
daily. GARCH parameters are those of the training part, its scale is set daily by what was revealed; the network's
figures are the mean over seeds.
"""


def table(scores: Sequence[Scored]) -> str:
    """One line for each instrument, horizon and forecast."""
    head = f"{'instrument':32} {'min':>3} {'n':>7} {'days':>4} {'forecast':14} {'QLIKE':>7} {'ratio to HAR':24} log MSE"
    return "\n".join([head, *(line for score in scores for line in _lines(score))])


def _lines(score: Scored) -> list[str]:
    return [
        f"{score.instrument:32} {score.horizon:>3} {score.n:>7} {score.days:>4} {key:14} {loss:7.4f} "
        f"{_ratio(score.ratio[key]):24} {score.log_error[key]:7.4f}"
        for key, loss in score.loss.items()
    ]


def _ratio(found: Sequence[float | None]) -> str:
    middle, low, high = found
    if low is None or high is None:
        return f"{middle:.3f}"
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]"


def keep(path: Path, opening: dict[str, Any], scores: Sequence[Scored], context: dict[str, Any] | None = None) -> None:
    """Add the figures and the opening to the JSON file at `path`, and write the page beside it anew.

    What an earlier run found of the same set and this one did not ask about stays.
    """
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"openings": [], "sets": {}}
    found["openings"].append(opening)
    kept = found["sets"].setdefault(opening["set"], {})
    kept["opening"] = opening
    if scores:
        kept["scores"] = [score.as_json() for score in scores]
    if context:
        kept["context"] = context
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")
    path.with_suffix(".md").write_text(page(found))
    renew(path)


def page(found: dict[str, Any]) -> str:
    """The section of the results page."""
    parts = [INTRODUCTION]
    for name, kept in found["sets"].items():
        parts.append(f"### {name}\n\nTest part from {kept['opening']['test_from'][:16]}.\n")
        if kept.get("scores"):
            parts.append(_rows(kept["scores"]))
        if kept.get("context"):
            parts.append(_context(kept["context"]))
    parts.append("### Openings of test parts\n")
    parts.append(_openings(found["openings"]))
    return "\n".join(parts) + "\n"


def _rows(scores: Sequence[dict[str, Any]]) -> str:
    shown = [key for key in TITLES if any(_mean(score, key) for score in scores)]
    head = ["instrument", "minutes", "n", "days", *(TITLES[key] for key in shown)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for score in scores:
        cells = [score["instrument"], score["horizon_minutes"], f"{score['n']:,}", score["days"]]
        cells += [_cell(score, key) for key in shown]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def _cell(score: dict[str, Any], key: str) -> str:
    found = _mean(score, key)
    if not found:
        return "not measured"
    loss, ratio = found
    return f"{loss:.4f}" if key == BAR else f"{loss:.4f}, {_ratio(ratio)}"


def _mean(score: dict[str, Any], key: str) -> tuple[float, list[float | None]] | None:
    """Loss and ratio of a forecast, over its seeds where it has several; their intervals too are averaged."""
    keys = [name for name in score["qlike"] if name == key or name.removeprefix(f"{key}_").isdigit()]
    if not keys:
        return None
    ratios = [score["ratio_to_har"][name] for name in keys]
    mean = [None if any(r[at] is None for r in ratios) else sum(r[at] for r in ratios) / len(ratios) for at in range(3)]
    return sum(score["qlike"][name] for name in keys) / len(keys), mean


def _context(found: dict[str, Any]) -> str:
    """Band, chance, regime and sizing."""
    lines = [
        "| instrument | minutes | n | in the 80 % band | median width, bp | chance of a large move |",
        "|---|---|---|---|---|---|",
    ]
    for one in found["moves"]:
        chances = "; ".join(
            f"> {chance['cost_bps']:g} bp{_count(chance)}: {chance['share']:.1%}, AUC {_figure(chance['auc'], 3)}, "
            f"ECE {_figure(chance['ece'], 4)} (floor {_figure(chance['ece_floor'], 4)})"
            for chance in one["chances"]
        )
        lines.append(
            f"| {one['instrument']} | {one['horizon_minutes']} | {one['n']:,} | {one['coverage']:.1%} | "
            f"{one['median_width_bps']:.1f} | {chances} |"
        )
    regime, sizing = found["regime"], found["sizing"]
    lines += [
        "",
        f"Regime: QLIKE saved in the test part {_interval(regime, 'gain')}; by its own training "
        f"{'shown' if regime['shown'] else 'hidden'}.",
        "",
        f"Learned sizing at even money, log growth a decision (1e-6), n = {sizing['n']:,}: policy "
        f"{sizing['policy'] * 1e6:.1f}, volatility-targeted Kelly {sizing['kelly'] * 1e6:.1f}, difference "
        f"{sizing['difference'] * 1e6:.1f} [{_figure(sizing['low'], 1, 1e6)}, {_figure(sizing['high'], 1, 1e6)}]; "
        f"largest drawdown {sizing['policy_drawdown']:.2%} and {sizing['kelly_drawdown']:.2%}. "
        f"It {'beats' if sizing['beats'] else 'does not beat'} the bar.",
    ]
    return "\n".join(lines) + "\n"


def _interval(found: dict[str, Any], middle: str) -> str:
    return f"{_figure(found[middle], 4)} [{_figure(found['low'], 4)}, {_figure(found['high'], 4)}]"


def _count(chance: dict[str, Any]) -> str:
    """How many moves a chance was judged on; figures that were kept before it was counted have none."""
    return f" (n {chance['n']:,})" if "n" in chance else ""


def _figure(value: float | None, digits: int, scale: float = 1.0) -> str:
    return "n/a" if value is None else f"{value * scale:.{digits}f}"


def _openings(openings: Sequence[dict[str, Any]]) -> str:
    lines = ["| date | commit | set | configurations tried | test part |", "|---|---|---|---|---|"]
    for one in openings:
        what = f"from {one['test_from'][:16]}" if one["opened"] else "not opened"
        lines.append(f"| {one['date']} | {one['commit']} | {one['set']} | {one['tried']} | {what} |")
    return "\n".join(lines) + "\n"
