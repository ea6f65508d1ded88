"""The fundamental lens: price moves alone, and whether volume goes with them.

On one minute there are no earnings to read; what is fundamental here is the move itself: its momentum over five minutes
to an hour, and the trend of the volume behind it.
"""

from models_ml.lenses.base import WORDS, Facts, Sight, neutral, side, signed

SPANS = (5, 15, 30, 60)
STRONG = 0.5
"""Mean of the spans' moves, each in standard deviations expected for its span, from which momentum is one."""
FADING = -0.2
"""Volume of five candles under that of twenty by this share: the move runs dry."""


def look(facts: Facts) -> Sight:
    """The direction of momentum, where the spans agree and volume does not fade."""
    moves = [facts.row[f"return_{span}"] for span in SPANS if f"return_{span}" in facts.row]
    if len(moves) < len(SPANS):
        return neutral("Too few candles are known to measure momentum.")
    momentum = sum(moves) / len(moves)
    what = f"Momentum over 5 to 60 minutes is {signed(momentum)} σ"
    direction = side(momentum, STRONG)
    if direction == 0:
        return neutral(f"{what}, too small.")
    agree = sum(side(move) == direction for move in moves)
    if agree < len(SPANS) - 1:
        return neutral(f"{what}, but only {agree} of {len(SPANS)} spans point {WORDS[direction]}.")
    trend = facts.row.get("volume_oscillator_5_20")
    if trend is not None and trend < FADING:
        return neutral(f"{what}, but volume fades by {-trend:.0%}.")
    behind = "volume is unknown" if trend is None else f"volume changes by {signed(trend * 100, 0)} %"
    return Sight(direction, f"{what} and {behind}.")
