"""What a stretch of candles is called: a sliding window described by moves, indicator, volume and level.

A window of 5, 10, … 50 candles is cut into five equal blocks. Its name says for each block whether price fell, stayed
or rose (in standard deviations of the last hour), and for its last candle in which third RSI stands, whether volume
grew over the window, and whether price is near the top or the bottom of the last hour's range: 6,561 names a length.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from markets.values import FloatArray, IntArray
from models_ml.features.charts import whole
from models_ml.features.matrix import known_fields
from models_ml.features.rolling import change, ratio, rolling_max, rolling_mean, rolling_min, rolling_sum, shifted
from models_ml.features.window import Window

BLOCKS = 5
LENGTHS = tuple(range(5, 51, 5))
LOOKBACK = 61
"""Candles that a name reads: an hour of returns, which covers the longest window."""
MOVED = 0.5
"""A block rose or fell where its move is above so many standard deviations expected of its length."""
STRONG, GREW, EDGE = 0.3, 0.25, 0.6
"""Bounds of RSI (centred, −1..1), of ln(volume of the second half / first half), of the place in the range (−1..1)."""

MOVES = ("fell", "stayed", "rose")
RSI = ("low", "middle", "high")
VOLUME = ("falling", "steady", "growing")
LEVEL = ("support", "between", "resistance")
NAMES = len(MOVES) ** BLOCKS * len(RSI) * len(VOLUME) * len(LEVEL)
"""Names of one length."""
NONE = -1


@dataclass(frozen=True, slots=True)
class Descriptor:
    """The words behind a name; `moves` oldest block first."""

    length: int
    moves: tuple[str, ...]
    rsi: str
    volume: str
    level: str

    @property
    def key(self) -> str:
        """The name: `w15:-0++0/low/growing/support`."""
        signs = "".join("-0+"[MOVES.index(move)] for move in self.moves)
        return f"w{self.length}:{signs}/{self.rsi}/{self.volume}/{self.level}"

    def as_json(self) -> dict[str, object]:
        """Plain values for a row."""
        return {**asdict(self), "moves": list(self.moves)}

    @property
    def code(self) -> int:
        """The number of the name among those of its length; the inverse of `described`."""
        code = 0
        for move in self.moves:
            code = code * len(MOVES) + MOVES.index(move)
        for word, words in ((self.rsi, RSI), (self.volume, VOLUME), (self.level, LEVEL)):
            code = code * len(words) + words.index(word)
        return code


def described(length: int, code: int) -> Descriptor:
    """The descriptor of a code of `codes`."""
    words = []
    for choices in (LEVEL, VOLUME, RSI):
        code, digit = divmod(code, len(choices))
        words.append(choices[digit])
    moves = []
    for _ in range(BLOCKS):
        code, digit = divmod(code, len(MOVES))
        moves.append(MOVES[digit])
    return Descriptor(length, tuple(reversed(moves)), words[2], words[1], words[0])


def codes(
    open_times: IntArray, ohlcv: FloatArray, lengths: tuple[int, ...] = LENGTHS
) -> Iterator[tuple[int, IntArray]]:
    """For each length the name of the window that ends at each candle, (I, T); `NONE` where a candle is missing.

    Args:
        open_times: (T,) epoch seconds.
        ohlcv: (I, T, 5); not changed. Only the last `LOOKBACK` candles before a row matter to it.
    """
    fields, missing = known_fields(ohlcv)
    window = Window(open_times, fields)
    with np.errstate(invalid="ignore", divide="ignore"):
        known = whole(missing, LOOKBACK) & (window.deviation(60) > 0)
        known[:, : LOOKBACK - 1] = False
        ending = _digit(_strength(window), STRONG), _digit(_place(window), EDGE)
        for length in lengths:
            yield length, np.where(known, _code(window, length, *ending), NONE)


def _code(window: Window, length: int, rsi: IntArray, level: IntArray) -> IntArray:
    block = length // BLOCKS
    moves = change(window.log_close, block)
    usual = window.deviation(60) * np.sqrt(block)  # one yardstick for all blocks, that of the last candle
    code = np.zeros_like(rsi)
    for age in reversed(range(BLOCKS)):
        code = code * len(MOVES) + _digit(ratio(shifted(moves, age * block), usual), MOVED)
    code = code * len(RSI) + rsi
    code = code * len(VOLUME) + _digit(_growth(window, length), GREW)
    return code * len(LEVEL) + level


def _digit(values: FloatArray, bound: float) -> IntArray:
    """0 below −bound, 2 above bound, else 1; what is unknown reads 1 and is masked or means "steady"."""
    digits: IntArray = 1 + (values > bound).astype(np.int64) - (values < -bound)
    return digits


def _strength(window: Window) -> FloatArray:
    """RSI over 14 by plain sums, centred: (gains − losses) / (gains + losses)."""
    gains, losses = np.maximum(window.moves, 0), np.maximum(-window.moves, 0)
    return ratio(rolling_sum(gains - losses, 14), rolling_sum(gains + losses, 14))


def _place(window: Window) -> FloatArray:
    """Place of the close in the range of 60 candles, −1..1."""
    top, bottom = rolling_max(window.high, 60), rolling_min(window.low, 60)
    return ratio(2 * window.close - top - bottom, top - bottom)


def _growth(window: Window, length: int) -> FloatArray:
    """ln(mean volume of the later half / of the earlier half); nothing traded is steady."""
    half = length // 2
    later = rolling_mean(window.volume, half)
    return np.log(ratio(later, shifted(later, half)))
