"""What a fault leaves behind for operators: structured events in the log, and counters."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from prometheus_client import REGISTRY


class Witness(logging.Handler):
    """Collects the structured events that this process logs, and how far counters went since it began."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.events: list[Mapping[str, Any]] = []
        self._before = _counters()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a structured event; its dictionary travels in `msg` until the last formatter."""
        if isinstance(record.msg, Mapping):
            self.events.append(dict(record.msg))

    def count(self, event: str, **facts: object) -> int:
        """How often an event was logged with these facts."""
        return sum(one.get("event") == event and facts.items() <= one.items() for one in list(self.events))

    def said(self, words: str) -> bool:
        """Whether an event whose name begins so was logged."""
        return any(str(one.get("event", "")).startswith(words) for one in list(self.events))

    def moved(self, metric: str) -> bool:
        """Whether a counter went on, or a gauge is not where it was, under any labels."""
        after = _counters()
        return any(key[0] == metric and value != self._before.get(key, 0.0) for key, value in after.items())

    def counted(self, metric: str, **labels: str) -> float:
        """How far a counter went, summed over the labels not named."""
        after = _counters()
        return sum(
            value - self._before.get(key, 0.0)
            for key, value in after.items()
            if key[0] == metric and labels.items() <= dict(key[1]).items()
        )


FLOORS = ("config", "signals", "models_ml", "markets", "lib")
"""Not the root logger: a Celery worker sets that one up anew when it starts."""


@contextmanager
def witnessing() -> Iterator[Witness]:
    """A witness of what the platform's own floors log, from INFO on."""
    witness = Witness()
    loggers = [logging.getLogger(name) for name in FLOORS]
    for logger in loggers:
        logger.addHandler(witness)
        logger.setLevel(logging.INFO)
    try:
        yield witness
    finally:
        for logger in loggers:
            logger.removeHandler(witness)
            logger.setLevel(logging.NOTSET)


def _counters() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
    }
