"""What the agents said of a round, as prices, basis points and words. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from signals.wording import price_text, signed

BASIS_POINTS = 1e4
HOUR = "60"
LEVELS = (
    (0.67, "calmer than usual"),
    (1.5, "about as usual"),
    (2.5, "livelier than usual"),
    (math.inf, "far livelier than usual"),
)
"""Forecast deviation over the usual one, up to which a word holds."""


@dataclass(frozen=True, slots=True)
class Band:
    """Between which prices 80 % of moves over so many minutes end, from the close of the round's candle."""

    minutes: int
    low: float
    high: float
    low_bps: float
    high_bps: float


@dataclass(frozen=True, slots=True)
class OutlookFacts:
    """Bands in order of their minutes, the next hour's forecast deviation over the usual one, and the regime.

    What is not known is absent: no band, None, and an empty word.
    """

    bands: tuple[Band, ...] = ()
    volatility_ratio: float | None = None
    regime: str = ""


def outlook_of(said: Mapping[str, Any], close: float | None) -> OutlookFacts | None:
    """Facts of a stored outlook (`models_ml.outlook`); None where no agent said anything."""
    bands = said.get("bands", {}) if close else {}
    found = OutlookFacts(
        tuple(_band(int(minutes), bands[minutes], close or 0.0) for minutes in sorted(bands, key=int)),
        ratio_of(said),
        _likeliest(said.get("regime", {})),
    )
    return None if found == OutlookFacts() else found


def ratio_of(said: Mapping[str, Any]) -> float | None:
    """The next hour's forecast deviation over the usual one, of a stored outlook; None where it is not known."""
    variance, usual = said.get("variance", {}).get(HOUR), said.get("usual")
    return math.sqrt(variance / usual) if variance is not None and usual else None


def volatility_text(ratio: float | None) -> str:
    """`livelier than usual: 1.8 times its moves`; empty where it is not known."""
    if ratio is None:
        return ""
    word = next(word for most, word in LEVELS if ratio < most)
    return f"{word}: {ratio:.1f} times its usual moves over the next hour"


def band_text(band: Band, tick_size: float | None) -> str:
    """`61,180.2 to 61,229.0 (−4.0 bp to +4.0 bp)`."""
    low, high = (price_text(price, tick_size) for price in (band.low, band.high))
    return f"{low} to {high} ({_span(band)})"


def band_line(band: Band) -> str:
    """The same in one sentence, in basis points alone."""
    span = "a minute" if band.minutes == 1 else f"{band.minutes} minutes"
    return f"Expected within {span}, 80 %: {_span(band)}"


def _span(band: Band) -> str:
    return f"{signed(band.low_bps, 1, 'bp')} to {signed(band.high_bps, 1, 'bp')}"


def _band(minutes: int, moves: list[float], close: float) -> Band:
    low, high = moves
    return Band(
        minutes,
        close * math.exp(low),
        close * math.exp(high),
        math.expm1(low) * BASIS_POINTS,
        math.expm1(high) * BASIS_POINTS,
    )


def _likeliest(regime: Mapping[str, float]) -> str:
    """The state alone: its probability is filtered, not calibrated."""
    return max(regime, key=lambda state: regime[state]) if regime else ""
