"""What the chart draws: candles, lines from the features' own code, signals and gaps; and the same in words."""

from datetime import timedelta
from typing import Any, Final

import numpy as np
from django.conf import settings
from django.http import QueryDict
from django.urls import reverse

from accounts.access import Viewer
from lib.clock import epoch, from_epoch
from markets.calendars import open_minutes
from markets.candles import load_ohlcv
from markets.models import Instrument, Run
from markets.timeframes import aggregate, minutes_of
from markets.values import FloatArray, IntArray
from models_ml.features import CHART_LOOKBACK, indicators
from signals.access import access_outcomes, access_signals, market_now
from signals.chart_patterns import chart_patterns
from signals.models import Outcome
from signals.wording import DIRECTIONS, OUTCOMES, decimals_of, percent, price_text

TIMEFRAMES: Final = ("1m", "5m", "15m", "1h", "4h")
BARS: Final = 240
TABLE_ROWS: Final = 20
AFTERWARDS_S: Final = 1800
"""What the chart of a signal shows after its horizon: what came of it."""
LAST_INSTANT: Final = 2**32
"""Epoch seconds that no candle reaches."""

GROUPS: Final[tuple[dict[str, Any], ...]] = (
    {"key": "ema", "title": "EMA", "own_pane": False, "lines": {"ema_fast": "ema_20", "ema_slow": "ema_50"}},
    {
        "key": "bollinger",
        "title": "Bollinger",
        "own_pane": False,
        "lines": {"band_upper": "bollinger_upper", "band_middle": "bollinger_middle", "band_lower": "bollinger_lower"},
    },
    {"key": "rsi", "title": "RSI", "own_pane": True, "lines": {"rsi": "rsi_14"}},
    {
        "key": "macd",
        "title": "MACD",
        "own_pane": True,
        "lines": {"macd_histogram": "macd_histogram", "macd": "macd", "macd_signal": "macd_signal"},
    },
)
"""Lines by the button that shows them: name on the chart → name in `indicators`."""

PATTERN_TOGGLE: Final[dict[str, Any]] = {"key": "patterns", "title": "Patterns"}


def chart_frame(instrument: Instrument, timeframe: str) -> dict[str, Any]:
    """What the page needs before the candles come: titles, switches, where to fetch."""
    minutes = minutes_of(timeframe)
    return {
        "instrument": instrument.pk,
        "symbol": instrument.symbol,
        "source": f"{reverse('chart', args=[instrument.pk])}?timeframe={timeframe}",
        "limit": 60 + int(settings.STALE_AFTER_S),
        "minutes": minutes,
        "timeframes": [
            {"name": name, "current": name == timeframe, "href": _link(instrument, name)} for name in TIMEFRAMES
        ],
        "toggles": (*GROUPS, PATTERN_TOGGLE),
    }


def signal_frame(instrument: Instrument, expires_at: int) -> dict[str, Any]:
    """The frame of the chart on a signal's own page: one timeframe, ending `AFTERWARDS_S` after its horizon."""
    until = expires_at + AFTERWARDS_S
    frame = chart_frame(instrument, TIMEFRAMES[0])
    return {**frame, "source": f"{frame['source']}&until={until}", "timeframes": [], "fixed": True}


def _link(instrument: Instrument, timeframe: str) -> str:
    query = QueryDict(mutable=True)
    query.update({"instrument": str(instrument.pk), "timeframe": timeframe})
    return f"/?{query.urlencode()}"


def chart_data(
    viewer: Viewer, run: Run | None, instrument: Instrument, timeframe: str, until: int | None = None
) -> dict[str, Any]:
    """The newest `BARS` candles with everything drawn on them; also the body of the summary and the table.

    Args:
        until: epoch seconds at which the chart ends; the market's now by default, and never later than that.
    """
    minutes = minutes_of(timeframe)
    now = min(epoch(market_now(run)), until or LAST_INSTANT)
    span = (BARS + CHART_LOOKBACK) * minutes * 60
    times, ohlcv = load_ohlcv(instrument.pk, now - span, now)
    times, ohlcv = aggregate(times, ohlcv, minutes)
    times, ohlcv = _regular(times, ohlcv, minutes * 60, instrument.calendar)
    lines = indicators(ohlcv)
    patterns = chart_patterns(instrument, times, ohlcv, BARS)
    shown = slice(max(0, len(times) - BARS), None)
    times, ohlcv = times[shown], ohlcv[shown]
    decimals = decimals_of(instrument.tick_size, float(ohlcv[-1, 3]) if len(ohlcv) else 1.0)
    markers = _markers(viewer, run, instrument, times, minutes * 60)
    return {
        "symbol": instrument.symbol,
        "minutes": minutes,
        "decimals": decimals,
        "as_of": int(times[-1]) + minutes * 60 if len(times) else 0,
        "candles": [[int(at), *_reals(row, decimals + 2)] for at, row in zip(times, ohlcv, strict=True)],
        "indicators": [
            {
                "key": group["key"],
                "own_pane": group["own_pane"],
                "lines": {name: _reals(lines[source][shown], decimals + 3) for name, source in group["lines"].items()},
            }
            for group in GROUPS
        ],
        "markers": markers,
        "patterns": patterns,
        "expiries": sorted({marker["judged"] for marker in markers}),
        "gaps": [int(at) for at, row in zip(times, ohlcv, strict=True) if np.isnan(row[3])],
        "summary": _summary(instrument, timeframe, ohlcv, len(markers)),
        "rows": _table(instrument, times, ohlcv),
    }


def _regular(times: IntArray, ohlcv: FloatArray, step: int, calendar: str) -> tuple[IntArray, FloatArray]:
    """The same candles on the axis of what was due: what is missing becomes NaN, so that a chart shows the hole."""
    if not len(times):
        return times, ohlcv
    due = open_minutes(calendar, int(times[0]), int(times[-1]) + step)
    axis = np.union1d(due // step * step, times).astype(np.int64)
    whole = np.full((len(axis), 5), np.nan)
    whole[np.searchsorted(axis, times)] = ohlcv
    return axis, whole


def _reals(values: FloatArray, digits: int) -> list[float | None]:
    return [round(float(value), digits) if np.isfinite(value) else None for value in values]


def _markers(
    viewer: Viewer, run: Run | None, instrument: Instrument, times: IntArray, step: int
) -> list[dict[str, Any]]:
    """Signals on the candle they were said after, with their outcome; `judged` is the candle they were judged on."""
    if not len(times):
        return []
    first, last = int(times[0]), int(times[-1])
    since, until = from_epoch(first), from_epoch(last) + timedelta(seconds=step)
    signals = access_signals(viewer, run).filter(instrument=instrument, close_time__gt=since, close_time__lte=until)
    outcomes = access_outcomes(viewer, run).filter(signal__in=signals.values("pk")).order_by("revision")
    results = {outcome.signal_id: outcome.result for outcome in outcomes}
    markers = []
    for signal in signals.order_by("close_time"):
        said = epoch(signal.close_time)
        markers.append(
            {
                "time": _bar(said - 60, first, step),
                "judged": _bar(said, first, step),
                "direction": DIRECTIONS[signal.direction],
                "mark": _mark(results.get(signal.pk)),
            }
        )
    return markers


def _bar(at: int, first: int, step: int) -> int:
    return first + (at - first) // step * step


def _mark(result: str | None) -> str:
    return OUTCOMES[Outcome.Result(result)][0] if result else "…"


def _summary(instrument: Instrument, timeframe: str, ohlcv: FloatArray, signals: int) -> str:
    """The chart in one sentence."""
    known = ohlcv[np.isfinite(ohlcv[:, 3])] if len(ohlcv) else ohlcv
    if not len(known):
        return "No candles are stored yet."
    tick = instrument.tick_size
    low, high, last = known[:, 2].min(), known[:, 1].max(), known[-1, 3]
    moved = last / known[0, 0] - 1
    way = "up" if moved > 0 else "down" if moved < 0 else "unchanged"
    said = f"{signals} signal{'' if signals == 1 else 's'}"
    return (
        f"{len(known)} candles of {timeframe}: from {price_text(known[0, 0], tick)} to {price_text(last, tick)} "
        f"({way} {percent(abs(moved), 2)}), between {price_text(low, tick)} and {price_text(high, tick)}; {said}."
    )


def _table(instrument: Instrument, times: IntArray, ohlcv: FloatArray) -> list[dict[str, Any]]:
    newest = list(zip(times, ohlcv, strict=True))[::-1][:TABLE_ROWS]
    return [_table_row(instrument, int(at), row) for at, row in newest]


def _table_row(instrument: Instrument, at: int, row: FloatArray) -> dict[str, Any]:
    names = ("open", "high", "low", "close")
    missing = bool(np.isnan(row[3]))
    prices = {
        name: "missing" if missing else price_text(float(row[place]), instrument.tick_size)
        for place, name in enumerate(names)
    }
    return {"time": at, **prices, "volume": "missing" if missing else f"{row[4]:,.4g}"}
