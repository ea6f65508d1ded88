"""The snapshot of facts about one instrument and minute: all that a language model is told, as one JSON text."""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.clock import MINUTE_S
from markets.values import FloatArray, IntArray

PRICE_DIGITS, FIGURE_DIGITS = 8, 4
"""Significant digits that are told. What was told is what an answer may quote."""
HEADLINES, HEADLINE_LENGTH = 20, 200
"""Newest headlines, and characters of each, that enter a prompt: other people's words, so never many."""
FLOW_S = 60
"""Seconds of trades that the order flow sums up."""
BPS = 1e4
"""Basis points of one."""

INDICATORS = (
    "return_1", "return_5", "return_15", "return_60", "channel_20", "channel_60", "drawdown_60", "streak",
    "ema_gap_10", "ema_gap_20", "ema_gap_50", "sma_gap_60", "macd_line", "macd_histogram", "adx_14",
    "directional_balance_14", "slope_20", "slope_60", "efficiency_30", "ichimoku_cloud",
    "rsi_7", "rsi_14", "stochastic_k_14_3", "williams_r_14", "cci_20",
    "natr_14", "range_ratio_14", "deviation_20", "deviation_60", "band_place_20", "band_width_20",
    "relative_volume_20", "relative_volume_60", "on_balance_20", "money_flow_20", "vwap_gap_60",
    "return_1_15m", "rsi_simple_14_15m", "return_1_1h", "rsi_simple_14_1h",
)  # fmt: skip
"""The feature columns that are told, by name; a test holds them against the registry."""
TRENDS = {"20 minutes": "slope_20", "60 minutes": "slope_60", "4 hours": "return_4_1h"}
"""Stretch → the column whose sign is its trend."""
PATTERN = "pattern_"


@dataclass(frozen=True, slots=True)
class Minute:
    """What is known of one instrument at the close of one candle.

    `ohlcv` (T, 5) and `open_times` (T,) end with that candle; `features` (F,) is its row in the order of `columns`.
    `book` holds prices and sizes (2, 20) of the last snapshot, `flow` bought and sold volume, count and largest trade.
    """

    symbol: str
    market_class: str
    open_times: IntArray
    ohlcv: FloatArray
    features: NDArray[np.float32]
    columns: tuple[str, ...]
    book: tuple[FloatArray, NDArray[np.float32]] | None = None
    flow: Mapping[str, float] | None = None
    headlines: Sequence[str] = ()

    @property
    def readable(self) -> bool:
        """Whether the candle that closed is known; without it nothing is asked."""
        return bool(len(self.ohlcv) and np.isfinite(self.ohlcv[-1, :4]).all())


def facts_of(minute: Minute, candles: int) -> dict[str, Any]:
    """The snapshot with its last `candles` candles, oldest first; what is unknown is null."""
    known = {name: _figure(value) for name, value in zip(minute.columns, minute.features.tolist(), strict=True)}
    rows = minute.ohlcv[-candles:]
    at = datetime.fromtimestamp(int(minute.open_times[-1]) + MINUTE_S, UTC)
    return {
        "instrument": _plain(minute.symbol),
        "market": _plain(minute.market_class),
        "timeframe": "1m",
        "decided_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "candles": {
            "count": len(rows),
            "order": "oldest first",
            "columns": ["open", "high", "low", "close", "volume"],
            "rows": [[_price(value) for value in row] for row in rows.tolist()],
        },
        "indicators": {name: known[name] for name in INDICATORS if name in known},
        "patterns": _patterns(known),
        "trend": {stretch: _side(known.get(column)) for stretch, column in TRENDS.items()},
        "order_flow": _order_flow(minute),
        "headlines": [_plain(text)[:HEADLINE_LENGTH] for text in minute.headlines[:HEADLINES]],
    }


def as_text(facts: Mapping[str, Any]) -> str:
    """The snapshot as JSON on one line.

    Every sign that could end the place it stands in is escaped: a headline cannot close the delimiter around it.
    """
    text = json.dumps(facts, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").replace("`", "\\u0060")


def _plain(text: str) -> str:
    """Text without control, format (zero-width, bidirectional) and private characters; spaces collapsed."""
    kept = "".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in text)
    return " ".join(kept.split())


def _price(value: float) -> float | None:
    return float(f"{value:.{PRICE_DIGITS}g}") if np.isfinite(value) else None


def _figure(value: float) -> float | None:
    return float(f"{value:.{FIGURE_DIGITS}g}") if np.isfinite(value) else None


def _patterns(known: Mapping[str, float | None]) -> list[dict[str, str]]:
    return [
        {"name": name.removeprefix(PATTERN).replace("_", " "), "side": "bullish" if value > 0 else "bearish"}
        for name, value in known.items()
        if name.startswith(PATTERN) and value
    ]


def _side(value: float | None) -> str | None:
    if value is None:
        return None
    return "up" if value > 0 else "down" if value < 0 else "flat"


def _order_flow(minute: Minute) -> dict[str, Any] | None:
    """The last book and the last minute's trades; None where the venue gives neither."""
    book = _book(*minute.book) if minute.book else None
    trades = {name: _price(value) for name, value in minute.flow.items()} if minute.flow else None
    return {"book": book, f"trades_{FLOW_S}s": trades} if book or trades else None


def _book(prices: FloatArray, sizes: NDArray[np.float32]) -> dict[str, float | None] | None:
    bid, ask = prices[:, 0]
    if not (np.isfinite(bid) and np.isfinite(ask)):
        return None
    bids, asks = (np.nan_to_num(side.astype(np.float64)) for side in sizes)
    return {
        "bid": _price(bid),
        "ask": _price(ask),
        "spread_bps": _figure((ask - bid) / (ask + bid) * 2 * BPS),
        "imbalance_best": _figure(_imbalance(bids[:1].sum(), asks[:1].sum())),
        "imbalance_all": _figure(_imbalance(bids.sum(), asks.sum())),
    }


def _imbalance(bids: float, asks: float) -> float:
    """(bids − asks) / (bids + asks), NaN for an empty book."""
    return (bids - asks) / (bids + asks) if bids + asks > 0 else float("nan")
