"""Signals to be judged, without training anything: one instrument's minutes decided by seven fixed votes for `up`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from markets.candles import load_panel
from markets.events import candle_closed
from markets.models import Instrument, Run
from markets.values import TaintFlag
from models_ml.voters import SEATS
from signals import publishing, receivers
from signals.consensus import NINE
from signals.decided import Decided
from signals.pipeline import Ballot, Rules, decide
from signals.risk import Context
from signals.rounds import BARS


class Seer:
    """Decides its instrument as soon as the candle is stored, before the panel does."""

    def __init__(self, run: Run, instrument: Instrument, awake: Callable[[], bool] = lambda: True) -> None:
        self.run, self.instrument, self.awake = run, instrument, awake

    @contextmanager
    def first(self) -> Iterator[None]:
        """Hear of each candle before the platform's own receiver does."""
        candle_closed.disconnect(receivers.decide)
        candle_closed.connect(self.hear)
        candle_closed.connect(receivers.decide)
        try:
            yield
        finally:
            candle_closed.disconnect(self.hear)

    def hear(self, close_time: int, instrument_ids: list[int], **_: object) -> None:
        """A minute closed."""
        if self.instrument.pk in instrument_ids and self.awake():
            publishing.save_rounds(self.run, [foreseen(self.instrument, close_time)])


def foreseen(instrument: Instrument, close_time: int) -> Decided:
    """A decision for `up` by a ballot of nine, on what is stored of the instrument."""
    panel = load_panel([instrument.pk], close_time, BARS)
    close, arrived = float(panel.ohlcv[0, -1, 3]), float(panel.observed_at[0, -1])
    votes = np.tile(np.array([0.2, 0.0, 0.8], np.float32), (len(SEATS), 1))
    ballot = Ballot(votes, np.ones(len(SEATS), np.int8), np.zeros(len(SEATS), np.int8))
    context = Context(close, 1.0, 1e-3, 0.5, 1.0, 0, TaintFlag(int(panel.taint[0])), 1.0, 1.0, 0.0)
    blank = np.zeros(len(SEATS))
    return Decided(
        instrument=instrument,
        close_time=close_time,
        decision=decide(ballot, context, None, Rules(panel=NINE)),
        context=context,
        ballot=ballot,
        latency_ms=blank.astype(np.float32),
        model_ids=blank.astype(np.int64),
        observed_at=arrived,
        late=not arrived - close_time <= 3.0,
        decision_ms=1.0,
        candle=tuple(panel.ohlcv[0, -1].tolist()),
    )
