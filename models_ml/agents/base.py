"""What every agent that reads candles promises. Pure."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from lib.errors import CandorError
from markets.values import FloatArray, IntArray

if TYPE_CHECKING:
    from models_ml.agents.realised import Tape


class TooLittleHistory(CandorError):
    """Too few usable minutes to learn from: the agent stays silent."""


@dataclass(frozen=True, slots=True)
class History:
    """Candles of I instruments of one market class on one axis of due minutes.

    `open_times` (T,) epoch seconds, rising, closed hours left out; `ohlcv` (I, T, 5), NaN where missing; `market` (I,)
    each instrument's stable number; `zone` the clock that its trading day follows.
    """

    open_times: IntArray
    ohlcv: FloatArray
    market: IntArray
    zone: str = "UTC"

    def until(self, rows: int) -> "History":
        """The first `rows` minutes."""
        return replace(self, open_times=self.open_times[:rows], ohlcv=self.ohlcv[:, :rows])


class Agent(ABC):
    """Context of a decision; it has no vote.

    An agent is seeded, leaves its inputs alone, reads nothing after the row it answers for, and answers with NaN where
    the window does not say. What it saves are JSON and safetensors files.
    """

    key: ClassVar[str]
    form: ClassVar[int] = 1
    """Raised when what it reads or keeps changes its meaning: what was stored before is then not read."""
    lookback: ClassVar[int]
    """Minutes before and with a row that its answer may depend on."""
    says: ClassVar[tuple[str, ...]]
    """Names of the values of a reading."""

    @abstractmethod
    def fit(self, history: History, *, seed: int = 0) -> None:
        """Learn from the whole of `history`; raises `TooLittleHistory`."""

    @abstractmethod
    def read(self, history: History, rows: int = 1, *, tape: "Tape | None" = None) -> dict[str, FloatArray]:
        """The values `says`, each (I, rows), of the last `rows` minutes.

        `tape` is that of the whole of `history`, where agents of one minute share it.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what was learned into an existing empty folder."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""


ZONES = {"forex": "America/New_York", "metal": "America/New_York", "index": "America/New_York"}
"""Market class → the clock of its day, summer time included; others follow UTC."""


def zone_of(market_class: str) -> str:
    """The clock that the trading day of a market class follows."""
    return ZONES.get(market_class, "UTC")
