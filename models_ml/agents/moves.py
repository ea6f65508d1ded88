"""How far the price may move: a quantile band of the next move, and the probability of a large one.

Moves are log returns from the next candle's open to the close `horizon` minutes later, divided by the square root of
the forecast variance, so that one table of quantiles serves calm and wild hours. The table is learned on the last
quarter of the history, by a volatility forecast that has not seen it (split conformal, Vovk 2005): the band holds what
it says as long as standardised moves stay alike. The chance of a move over a threshold is the share of the same moves,
of the instrument itself and of all, that were larger in deviations.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.agents.base import Agent, History, TooLittleHistory
from models_ml.agents.realised import MINUTE_S, Tape
from models_ml.agents.volatility_forecast import LEAST_ROWS, STEP, Unseen, VolatilityForecast, rows_of

HORIZONS = (1, 15, 60)
"""Minutes; a minute uses the forecast of the quarter."""
LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
LOW, HIGH = 0.1, 0.9
BAND = HIGH - LOW
"""Share of moves that the band shown is to hold."""
HALF_LIFE_DAYS = 10.0
"""Older moves weigh less, so that a band follows how large moves lately were beside their forecast."""
DAY_S = 86_400
SIZES = (*np.arange(0, 0.95, 0.01).tolist(), *(1 - 0.05 * 0.5 ** np.arange(11)).tolist(), 1.0)
"""Levels of the table of sizes: finer where moves are large and few."""
OWN_MOVES = 200.0
"""Moves apart after which an instrument's own sizes weigh as much as those of all."""
BASIS_POINTS = 1e4
FILE = "moves.json"


def moves_ahead(history: History, horizon: int) -> FloatArray:
    """log(close after `horizon` minutes / next open), (I, T); NaN where it is not known or hours are closed between."""
    opened, closed = history.ohlcv[..., 0], history.ohlcv[..., 3]
    out = np.full(closed.shape, np.nan)
    if closed.shape[1] > horizon:
        whole = history.open_times[horizon:] - history.open_times[:-horizon] == horizon * MINUTE_S
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = np.log(closed[:, horizon:] / opened[:, 1 : closed.shape[1] - horizon + 1])
        out[:, :-horizon] = np.where(whole, moved, np.nan)
    return out


def deviation(read: dict[str, FloatArray], horizon: int) -> FloatArray:
    """Forecast standard deviation of a log return over `horizon` minutes."""
    return np.sqrt(read["variance_60" if horizon > 15 else "variance_15"] * horizon)


class ExpectedMove(Agent):
    """A band for the move over each of `HORIZONS`, and the chance that it is larger than a threshold."""

    key: ClassVar[str] = "moves"
    form: ClassVar[int] = 2
    lookback: ClassVar[int] = VolatilityForecast.lookback
    says: ClassVar[tuple[str, ...]] = (
        *VolatilityForecast.says,
        *(f"{side}_{horizon}" for horizon in HORIZONS for side in ("low", "high")),
    )

    def __init__(self, volatility: VolatilityForecast | None = None) -> None:
        """Empty until `fit` or `load`."""
        self.volatility = volatility or VolatilityForecast()
        self.quantiles: dict[int, list[float]] = {}
        self.sizes: dict[int, list[float]] = {}
        self.own: dict[int, dict[int, tuple[float, list[float]]]] = {}
        """Horizon → instrument number → how many moves apart its table rests on, and the table."""

    def fit(self, history: History, *, seed: int = 0) -> None:
        """Learn the quantiles on the last quarter, then the forecast on everything; `seed` changes nothing."""
        self.learn(Unseen.of(history))
        self.volatility.fit(history)

    def learn(self, unseen: Unseen) -> None:
        """Quantiles and sizes of moves after all that the forecast of them was fitted on; the newest weigh most."""
        for horizon, moves in _standing(unseen).items():
            if moves.known.sum() < LEAST_ROWS:
                raise TooLittleHistory(f"{int(moves.known.sum())} moves are too few for quantiles: load more candles")
            self.quantiles[horizon] = moves.quantiles(LEVELS).tolist()
            self.sizes[horizon] = moves.sizes().quantiles(SIZES).tolist()
            self.own[horizon] = {
                int(number): (own.weight / max(horizon / STEP, 1), own.sizes().quantiles(SIZES).tolist())
                for number, own in zip(unseen.history.market, moves.each(), strict=True)
                if own.known.any()
            }

    def read(self, history: History, rows: int = 1, *, tape: Tape | None = None) -> dict[str, FloatArray]:
        """The forecast's values, and `low_H`, `high_H`: the band of the log return over H minutes, `BAND` inside."""
        read = self.volatility.read(history, rows, tape=tape)
        return read | self.bands(read)

    def bands(self, read: dict[str, FloatArray]) -> dict[str, FloatArray]:
        """`low_H` and `high_H` of a reading of the forecast."""
        out = {}
        for horizon, quantiles in self.quantiles.items():
            said = deviation(read, horizon)
            out[f"low_{horizon}"] = said * quantiles[LEVELS.index(LOW)]
            out[f"high_{horizon}"] = said * quantiles[LEVELS.index(HIGH)]
        return out

    def chance(self, read: dict[str, FloatArray], market: IntArray, horizon: int, threshold_bps: float) -> FloatArray:
        """Probability (I, T) that the move over `horizon` minutes is larger than `threshold_bps`, either way.

        Of a reading (I, T) of instruments `market` (I,); one that was never met has the sizes of all.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            away = threshold_bps / BASIS_POINTS / deviation(read, horizon)
        out = _larger(away, self.sizes[horizon])
        for row, number in enumerate(market.tolist()):
            if number in self.own[horizon]:
                moves, table = self.own[horizon][number]
                trust = moves / (moves + OWN_MOVES)
                out[row] = trust * _larger(away[row], table) + (1 - trust) * out[row]
        return out

    def save(self, folder: Path) -> None:
        """The forecast's files and one more."""
        self.volatility.save(folder)
        plain: dict[str, Any] = {"quantiles": self.quantiles, "sizes": self.sizes, "own": self.own}
        (folder / FILE).write_text(json.dumps(plain))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read them again."""
        agent = cls(VolatilityForecast.load(folder))
        found = json.loads((folder / FILE).read_text())
        agent.quantiles = {int(horizon): values for horizon, values in found["quantiles"].items()}
        agent.sizes = {int(horizon): values for horizon, values in found["sizes"].items()}
        for horizon, tables in found["own"].items():
            agent.own[int(horizon)] = {int(number): (moves, table) for number, (moves, table) in tables.items()}
        return agent


@dataclass(frozen=True, slots=True)
class Moves:
    """Moves (I, N) of `rows` (N,) with their forecast deviations, and how many days before the last minute each was."""

    rows: IntArray
    moved: FloatArray
    said: FloatArray
    days: FloatArray

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which of them count."""
        return np.isfinite(self.moved) & (self.said > 0)

    def part(self, chosen: NDArray[np.bool_]) -> "Moves":
        """Some of the rows, seen from the last of them."""
        days = self.days[chosen]
        return Moves(self.rows[chosen], self.moved[:, chosen], self.said[:, chosen], days - days.min(initial=np.inf))

    def each(self) -> Iterator["Moves"]:
        """The instruments one by one."""
        for row in range(len(self.moved)):
            yield replace(self, moved=self.moved[row : row + 1], said=self.said[row : row + 1])

    def sizes(self) -> "Moves":
        """The same, whichever way they went."""
        return replace(self, moved=np.abs(self.moved))

    @property
    def weight(self) -> float:
        """How many moves of today they count for."""
        return float(self._weights.sum())

    @property
    def _weights(self) -> FloatArray:
        """Of the known moves (K,): each half as much as one `HALF_LIFE_DAYS` newer."""
        known = self.known
        return np.asarray(np.broadcast_to(0.5 ** (self.days / HALF_LIFE_DAYS), known.shape)[known])

    def quantiles(self, levels: Sequence[float]) -> FloatArray:
        """Of the standardised moves, by weight."""
        values, weights = self.moved[self.known] / self.said[self.known], self._weights
        order = np.argsort(values, kind="stable")
        reached = np.cumsum(weights[order]) - weights[order] / 2
        return np.asarray(np.interp(np.array(levels) * weights.sum(), reached, values[order]))


def _standing(unseen: Unseen) -> dict[int, Moves]:
    """Horizon → every fifth minute after what the forecast was fitted on."""
    times = unseen.history.open_times
    rows = rows_of(times)
    rows = rows[rows >= unseen.first]
    days = (times[-1] - times[rows]) / DAY_S
    return {
        horizon: Moves(
            rows,
            moves_ahead(unseen.history, horizon)[:, rows],
            deviation(unseen.read, horizon)[:, rows - unseen.first],
            days,
        )
        for horizon in HORIZONS
    }


def held(unseen: Unseen) -> dict[str, float | int | None]:
    """Share of moves in the later half of the unseen rows that a band learned on the earlier half holds."""
    middle = (unseen.first + len(unseen.history.open_times)) // 2
    found: dict[str, float | int | None] = {}
    for horizon, moves in _standing(unseen).items():
        early, late = moves.part(moves.rows + horizon < middle), moves.part(moves.rows >= middle)
        found[f"n_{horizon}"] = n = int(late.known.sum())
        found[f"coverage_{horizon}"] = None
        if n >= LEAST_ROWS and early.known.sum() >= LEAST_ROWS:
            low, high = early.quantiles((LOW, HIGH))
            inside = (late.moved >= low * late.said) & (late.moved <= high * late.said)
            found[f"coverage_{horizon}"] = float(inside[late.known].mean())
    return found


def _larger(away: FloatArray, table: Sequence[float]) -> FloatArray:
    """Share of the moves of a table of sizes that are more than `away` deviations; NaN where that is."""
    share = 1 - np.interp(away, table, SIZES, left=0.0, right=1.0)
    return np.asarray(np.where(np.isnan(away), np.nan, share))


def coverage(read: dict[str, FloatArray], moved: FloatArray, horizon: int, rows: IntArray) -> tuple[float, int]:
    """Share of known moves (I, T) at `rows` that fell into the band, and how many there were; NaN for none."""
    low, high, came = read[f"low_{horizon}"][:, rows], read[f"high_{horizon}"][:, rows], moved[:, rows]
    known = np.isfinite(came) & np.isfinite(low)
    if not known.any():
        return float("nan"), 0
    return float(((came >= low) & (came <= high))[known].mean()), int(known.sum())
