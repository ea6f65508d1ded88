"""What a round asks language models, and how long it can wait for them."""

from typing import TYPE_CHECKING

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from lib import clock
from markets.models import Instrument
from markets.values import Panel, TradeFlow
from models_ml.features import VECTOR
from models_ml.news import News
from models_ml.voters.llm.facts import FLOW_S, Minute

if TYPE_CHECKING:
    from models_ml import asking

SAVING_S = 0.5
"""Kept free of a round's time for counting and saving, after the last answer of a language model."""


def ask_language(
    group: list[Instrument],
    panel: Panel,
    features: NDArray[np.float32],
    close_time: int,
    received: float | None,
    news: News,
) -> "asking.Asked":
    """Put the questions to the language models, with no more time than leaves the round in time.

    `panel` and `features` (N, F) are those of the N instruments of `group`.
    """
    from models_ml import asking  # its libraries are a worker's: web code imports this module as well

    seen = panel.observed_at[:, -1]
    arrived = received if received is not None else float(seen[np.isfinite(seen)].max(initial=-np.inf))
    spent = max(clock.wall_now().timestamp() - arrived, 0.0)
    left = min(settings.LLM_DEADLINE_S, settings.LATE_AFTER_S - SAVING_S - spent)
    return asking.ask(
        [
            asking.Asking(instrument.pk, close_time, _minute(instrument, panel, features[row], row, news))
            for row, instrument in enumerate(group)
        ],
        deadline_s=max(left, 0.0),
    )


def _minute(instrument: Instrument, panel: Panel, features: NDArray[np.float32], row: int, news: News) -> Minute:
    """What a language model may be told of one instrument."""
    books = panel.books
    return Minute(
        symbol=instrument.symbol,
        market_class=instrument.market_class,
        open_times=panel.open_times,
        ohlcv=panel.ohlcv[row],
        features=features,
        columns=VECTOR,
        book=(books.prices((row, -1)), books.sizes[row, -1]) if books else None,
        flow=_traded(panel.flow, row) if panel.flow else None,
        headlines=news.titles[row],
    )


def _traded(flow: TradeFlow, row: int) -> dict[str, float] | None:
    """The trades of the last `FLOW_S` seconds, summed up; None where they were not recorded."""
    late = slice(-FLOW_S, None)
    buy, sell, count, largest = (part[row, late] for part in (flow.buy, flow.sell, flow.count, flow.largest))
    if not np.isfinite(buy).any():
        return None
    return {
        "bought": float(np.nansum(buy)),
        "sold": float(np.nansum(sell)),
        "trades": float(count.sum()),
        "largest": float(np.nan_to_num(largest).max()),
    }
