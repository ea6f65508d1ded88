"""Minutes to ask about, made here."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from models_ml.features import COLUMNS, build
from models_ml.voters.llm.facts import Minute
from tests.models_ml.worlds import START, candle_walk

LENGTH = 300


def minute(seed: int = 0, headlines: Sequence[str] = (), symbol: str = "BTC/USDT") -> Minute:
    """A minute with everything known of it but long look-backs."""
    rng = np.random.default_rng(seed)
    ohlcv = candle_walk(rng, 1, LENGTH)
    times = START + 60 * np.arange(LENGTH, dtype=np.int64)
    mid = ohlcv[0, -1, 3]
    step = mid * 1e-4 * (1 + np.arange(20))
    prices = np.stack([mid - step, mid + step])
    return Minute(
        symbol=symbol,
        market_class="crypto",
        open_times=times,
        ohlcv=ohlcv[0],
        features=build(times, ohlcv, rows=1)[0, -1].astype(np.float32),
        columns=COLUMNS,
        book=(prices, rng.lognormal(0, 1, (2, 20)).astype(np.float32)),
        flow={"bought": 12.5, "sold": 7.25, "trades": 41.0, "largest": 3.5},
        headlines=headlines,
    )


def blind(one: Minute) -> Minute:
    """The same minute without its last candle."""
    ohlcv = one.ohlcv.copy()
    ohlcv[-1] = np.nan
    return replace(one, ohlcv=ohlcv)
