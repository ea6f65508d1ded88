"""The verdict on the sizing shadow in words: for the operator's terminal and for the page. Pure."""

from typing import Any

from signals.wording import signed

MICRO = 1e6


def sentence_of(figures: dict[str, Any]) -> str:
    """Who is better, on how much; while too little is judged, how much is missing."""
    rows = f"{_counted(figures['n'], 'judged row')} of {_counted(figures['days'], 'day')}"
    if missing := missing_of(figures):
        return f"learned sizing has {rows} beside volatility-targeted Kelly; missing for a verdict: {missing}"
    word = "beats" if figures["beats"] else "does not beat"
    return f"learned sizing {word} volatility-targeted Kelly on {rows}: {difference_of(figures)}"


def missing_of(figures: dict[str, Any]) -> str:
    """`300 rows and 12 days`; empty where nothing is missing."""
    missing = figures["missing"]
    parts = [_counted(missing[name], name.removesuffix("s")) for name in ("rows", "days") if missing[name]]
    return " and ".join(parts)


def difference_of(figures: dict[str, Any]) -> str:
    """Difference in log growth a decision in millionths, with its 95 % interval over days where there is one."""
    text = f"{signed(figures['difference'] * MICRO, 1, 'millionths')} of log growth a decision"
    if figures["low"] is None:
        return text
    low, high = (signed(figures[name] * MICRO, 1, "").strip() for name in ("low", "high"))
    return f"{text} (95 %: {low} to {high})"


def _counted(count: int, name: str) -> str:
    return f"{count:,} {name}{'' if count == 1 else 's'}"
