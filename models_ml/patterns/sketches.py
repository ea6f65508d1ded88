"""A small drawing of each pattern: the line that its name describes, in a box of 100 × 40."""

from collections.abc import Mapping, Sequence

from models_ml.patterns.registry import PATTERNS

WIDTH, HEIGHT, MARGIN = 100.0, 40.0, 4.0
Points = tuple[tuple[float, float], ...]

TURNS: dict[str, tuple[float, ...]] = {
    "head_and_shoulders": (0, 6, 3, 10, 3, 6, -1),
    "double_top": (0, 8, 4, 8, 0),
    "triple_top": (0, 8, 4, 8, 4, 8, 0),
    "descending_triangle": (2, 10, 3, 8, 3, 6, -1),
    "symmetrical_triangle": (3, 10, 0, 8, 2.5, 6, 11),
    "rising_wedge": (0, 6, 2, 8, 5, 9, 1),
    "bear_flag": (10, 3, 5, 4, 6, 5, -1),
    "break_of_structure": (0, 5, 2, 7, 4, 10),
    "change_of_character": (10, 4, 7, 1, 5, 9),
    "fair_value_gap": (0, 2, 8, 10),
}
"""Turning points of shapes that fall, or that may go either way and are drawn upwards."""
TWINS = {
    "inverse_head_and_shoulders": "head_and_shoulders",
    "double_bottom": "double_top",
    "triple_bottom": "triple_top",
    "ascending_triangle": "descending_triangle",
    "falling_wedge": "rising_wedge",
    "bull_flag": "bear_flag",
}
STEP = {"fell": -1.0, "stayed": 0.0, "rose": 1.0}


def sketch(key: str, direction: int, descriptor: Mapping[str, object]) -> Points:
    """Points of the pattern's line, x to the right and y downwards; none where a name has no line (candlesticks)."""
    moves = descriptor.get("moves")
    if isinstance(moves, Sequence):
        heights = [0.0]
        for move in moves:
            heights.append(heights[-1] + STEP[str(move)])
        return _fitted(heights)
    base = TWINS.get(key, key)
    if key not in PATTERNS or base not in TURNS:
        return ()
    turned = key in TWINS or (PATTERNS[key].direction == "either" and direction < 0)
    return _fitted([-height if turned else height for height in TURNS[base]])


def _fitted(heights: Sequence[float]) -> Points:
    low, high = min(heights), max(heights)
    step = (WIDTH - 2 * MARGIN) / max(len(heights) - 1, 1)
    scale = (HEIGHT - 2 * MARGIN) / (high - low) if high > low else 0.0
    middle = HEIGHT / 2 if high == low else HEIGHT - MARGIN
    return tuple(
        (round(MARGIN + place * step, 1), round(middle - (height - low) * scale, 1))
        for place, height in enumerate(heights)
    )
