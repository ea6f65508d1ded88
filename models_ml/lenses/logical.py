"""The logical lens: rules of market structure, counted.

Higher highs and lows, a broken structure, a changed character and the nearness of a level each give a point; two points
more on one side than on the other are a verdict. A change of character counts double: it is news against the trend.
"""

from models_ml.lenses.base import Facts, Sight, joined, neutral, sentence, side

NEAR = 0.5
"""A level this many mean true ranges away is near."""
ENOUGH = 2

TREND = {1: "highs and lows rise", -1: "highs and lows fall"}
BROKEN = {1: "price broke a swing high with the trend", -1: "price broke a swing low with the trend"}
CHANGED = {1: "a break upwards ended the fall", -1: "a break downwards ended the rise"}


def look(facts: Facts) -> Sight:
    """Points of structure; what is unknown gives none."""
    if "swing_trend" not in facts.row:
        return neutral("Too few candles are known to see a structure.")
    points = _points(facts)
    total = sum(weight for weight, _ in points)
    said = joined(text for weight, text in points if weight) or "structure speaks for neither side"
    if abs(total) < ENOUGH:
        return neutral(sentence(f"no clear structure: {said}" if any(weight for weight, _ in points) else said))
    return Sight(side(total), sentence(said))


def _points(facts: Facts) -> list[tuple[int, str]]:
    row = facts.row
    trend, broken, changed = (
        side(row.get(name, 0.0), least)
        for name, least in (("swing_trend", 0.75), ("break_of_structure", 0.5), ("change_of_character", 0.5))
    )
    level, where = _level(row.get("swing_low_gap"), row.get("swing_high_gap"))
    return [
        (trend, TREND.get(trend, "")),
        (broken, BROKEN.get(broken, "")),
        (2 * changed, CHANGED.get(changed, "")),
        (level, where),
    ]


def _level(above_low: float | None, above_high: float | None) -> tuple[int, str]:
    """Just above support is a point up, just under resistance one down; near both, the market is merely narrow."""
    support = above_low is not None and 0 <= above_low <= NEAR
    resistance = above_high is not None and -NEAR <= above_high <= 0
    if support == resistance:
        return 0, ""
    if support:
        return 1, f"support lies {above_low:.1f} true ranges below"
    return -1, f"resistance lies {-(above_high or 0.0):.1f} true ranges above"
