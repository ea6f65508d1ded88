"""Where the close stands: inside its candle, on the grid of prices, and after moves that used to be taken back.

Between two trades of a quiet minute price goes back and forth between bid and ask. How much of the last move that was
shows in ticks, in the candle's own shape, and in what used to follow such moves in this instrument.
"""

import numpy as np

from markets.values import FloatArray
from models_ml.features.rolling import gap, ratio, rolling_max, rolling_mean, rolling_rms, shifted
from models_ml.features.window import Feature, Formula, Window

GRID = 240
"""Candles in which the smallest step of a price is looked for."""
FINEST = 1e-9
"""Share of the price under which a difference is rounding and no step."""
RECORDS = (240, 1200)


def tick(w: Window) -> FloatArray:
    """Smallest difference between open, high, low, close and the close before in `GRID` candles; ∞ in a flat market."""

    def make() -> FloatArray:
        top, bottom = np.maximum(w.open, w.close), np.minimum(w.open, w.close)
        before = shifted(w.close, 1)
        steps = [np.abs(w.open - before), w.high - top, bottom - w.low, top - bottom]
        known = np.isfinite(before)
        least = np.full_like(w.close, np.inf)
        for step in steps:
            least = np.where(step > FINEST * w.close, np.minimum(least, step), least)
        return w.wanted(-rolling_max(np.where(known, -least, np.nan), GRID))

    return w.shared("tick", make)


def tick_size(w: Window) -> FloatArray:
    """ln(tick / σ 60 of the price); 0 in a flat market."""
    return _sized(tick(w) / (w.wanted(w.close) * w.wanted(w.deviation(60))))


def tick_share(w: Window) -> FloatArray:
    """ln(tick / price, bp); 0 in a flat market."""
    return _sized(tick(w) / w.wanted(w.close) * 1e4)


def _sized(share: FloatArray) -> FloatArray:
    return np.where(np.isinf(share), 0.0, np.log(share))


def in_ticks(distance: Formula) -> Formula:
    """±ln(1 + |distance| / tick): a tick counts much, the tenth tick little."""

    def of(w: Window) -> FloatArray:
        steps = w.wanted(distance(w)) / tick(w)
        return np.sign(steps) * np.log1p(np.abs(steps))

    return of


def in_sigma(distance: Formula) -> Formula:
    """Distance / (price × σ 60)."""
    return lambda w: ratio(w.wanted(distance(w)) / w.wanted(w.close), w.wanted(w.deviation(60)))


def gap_to_mean(length: int) -> Formula:
    """Close − mean of the last `length` closes."""

    def of(w: Window) -> FloatArray:
        mean = w.wanted(rolling_mean(w.tail(w.close, length), length))
        return gap(w.wanted(w.close), mean)

    return of


def followed(w: Window) -> FloatArray:
    """Open-to-close log move of each candle, what a decision before it was about."""
    return w.shared("followed", lambda: np.log(w.close / w.open))


def record(length: int) -> Formula:
    """How often a candle went on in the direction of the return before it, less how often against: −1..1."""

    def of(w: Window) -> FloatArray:
        return w.shared(
            f"record {length}",
            lambda: w.wanted(rolling_mean(np.sign((w.close - w.open) * shifted(w.returns, 1)), length)),
        )

    return of


def response(length: int) -> Formula:
    """Slope of a candle's move on the return before it."""

    def of(w: Window) -> FloatArray:
        def make() -> FloatArray:
            together = rolling_mean(followed(w) * shifted(w.returns, 1), length)
            return ratio(w.wanted(together), w.wanted(w.deviation(length)) ** 2)

        return w.shared(f"response {length}", make)

    return of


def expected(by: Formula, last: Formula) -> Formula:
    """What a record makes of the last return."""
    return lambda w: by(w) * last(w)


def last_return(w: Window) -> FloatArray:
    """The last return / σ 60."""

    def make() -> FloatArray:
        returns = w.tail(w.returns, 60)
        return ratio(w.wanted(returns), w.wanted(rolling_rms(returns, 60)))

    return w.shared("last return", make)


def last_sign(w: Window) -> FloatArray:
    """Sign of the last return."""
    return np.sign(w.wanted(w.returns))


DISTANCES: dict[str, tuple[str, int, Formula]] = {
    "return_1": ("close − close before", 2, lambda w: w.close - shifted(w.close, 1)),
    "return_2": ("close − close 2 ago", 3, lambda w: w.close - shifted(w.close, 2)),
    "body": ("close − open", 1, lambda w: w.close - w.open),
    "gap": ("open − close before", 2, lambda w: w.open - shifted(w.close, 1)),
    "above": ("high − close", 1, lambda w: w.high - w.close),
    "below": ("close − low", 1, lambda w: w.close - w.low),
    "mean_gap_3": ("close − SMA 3", 3, gap_to_mean(3)),
    "mean_gap_5": ("close − SMA 5", 5, gap_to_mean(5)),
}

FEATURES = (
    Feature("tick_size", "ln", f"ln(smallest step of {GRID} candles / (price × σ 60))", GRID + 1, tick_size),
    Feature("tick_share", "ln bp", f"ln(smallest step of {GRID} candles / price)", GRID + 1, tick_share),
    *(
        Feature(f"ticks_{name}", "±ln(1 + ticks)", f"{text}, in smallest steps of {GRID}", GRID + 1, in_ticks(distance))
        for name, (text, _, distance) in DISTANCES.items()
    ),
    *(
        Feature(f"close_{name}", "σ", f"({DISTANCES[name][0]}) / (price × σ 60)", 61, in_sigma(DISTANCES[name][2]))
        for name in ("above", "below", "body", "mean_gap_3")
    ),
    Feature(
        "close_middle", "σ", "(close − (high + low) / 2) / (price × σ 60)", 61,
        in_sigma(lambda w: w.close - (w.high + w.low) / 2),
    ),
    *(
        Feature(f"{name}_{n}", unit, f"{text}, {n}", n + 2, of)
        for n in RECORDS
        for name, unit, text, of in (
            ("sign_record", "−1..1", "candles that went on after the return before − turned", record(n)),
            ("sign_expected", "−1..1", "the same × sign of the last return", expected(record(n), last_sign)),
            ("response", "1", "slope of a candle's move on the return before it", response(n)),
            ("response_expected", "σ", "the same × last return / σ 60", expected(response(n), last_return)),
        )
    ),
)  # fmt: skip
EVEN = frozenset({"tick_size", "tick_share"} | {f"{name}_{n}" for name in ("sign_record", "response") for n in RECORDS})
"""Columns that stay had every price moved the other way; `above` and `below` change places, the rest changes sign."""
