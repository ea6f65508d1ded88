"""Market regime: a Gaussian hidden Markov model over quarter hours, told as trending, ranging or volatile.

Probabilities are filtered, never smoothed: each comes from the quarter hours up to its row, the last day of them. The
model is fitted by hmmlearn; what is kept are its plain parameters, and reading needs numpy alone.

The regime is shown only where it helps: where scaling the volatility forecast by regime, with factors learned on the
first half of the last quarter of the history, lowers QLIKE on the second half, with a 95 % interval above zero.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from markets.values import FloatArray, IntArray
from models_ml.agents.base import Agent, History, TooLittleHistory
from models_ml.agents.realised import DAY, MINUTE_S, Tape, neutral
from models_ml.agents.volatility_forecast import Unseen
from models_ml.validation.metrics import day_bootstrap

STEP = 15
"""Minutes between two observations."""
STEPS = DAY // STEP
"""Observations that a filtered probability reads: a day."""
STATES = ("trending", "ranging", "volatile")
SPAN = 60
LEAST_STEPS = 500
LEAST_JUDGED = 200
MOST_STEPS = 20_000
ITERATIONS = 30
STAYS = 0.9
"""Where the fit of the transitions starts: a state lasts some hours."""
PRIOR = 1e-3
"""Added to the diagonal of each covariance the fit starts from: a state is never a point."""
TOGETHER = 4096
"""Rows whose beliefs are filtered at once."""
FILE = "regime.json"


@dataclass(frozen=True, slots=True)
class Chain:
    """Start (S,), transitions (S, S), means (S, K) and covariances (S, K, K), states in the order of `STATES`."""

    start: FloatArray
    moves: FloatArray
    means: FloatArray
    covariances: FloatArray

    def densities(self, seen: FloatArray) -> FloatArray:
        """Log density (..., S) of observations (..., K); an unknown one (NaN) tells nothing."""
        out = np.empty((*seen.shape[:-1], len(self.start)))
        for state, (mean, covariance) in enumerate(zip(self.means, self.covariances, strict=True)):
            away = seen - mean
            _, size = np.linalg.slogdet(2 * np.pi * covariance)
            out[..., state] = -0.5 * (np.einsum("...i,ij,...j->...", away, np.linalg.inv(covariance), away) + size)
        return np.where(np.isfinite(out), out, 0.0)

    def filtered(self, seen: FloatArray) -> FloatArray:
        """P(state) (N, S) after each row's observations (N, L, K), oldest first, the state before them unknown."""
        densities = self.densities(seen)
        belief = np.broadcast_to(self.start, (len(seen), len(self.start)))
        for step in range(seen.shape[1]):
            prior = belief @ self.moves if step else belief
            log = np.log(np.maximum(prior, 1e-300)) + densities[:, step]
            weight = np.exp(log - log.max(axis=1, keepdims=True))
            belief = weight / weight.sum(axis=1, keepdims=True)
        return np.asarray(belief)


class Regime(Agent):
    """P(trending), P(ranging), P(volatile), and whether they are worth showing."""

    key: ClassVar[str] = "regime"
    lookback: ClassVar[int] = 2 * DAY - STEP + 1
    says: ClassVar[tuple[str, ...]] = STATES

    def __init__(self, chain: Chain | None = None, gain: Sequence[float | None] = (None, None, None)) -> None:
        """`gain` is the mean QLIKE that the regime saves, with its 95 % interval."""
        self.chain, self.gain = chain, tuple(gain)

    @property
    def shown(self) -> bool:
        """Whether it helps: the lower end of the gain is above zero."""
        return self.gain[1] is not None and self.gain[1] > 0

    def fit(self, history: History, *, seed: int = 0) -> None:
        """Fit on everything, then judge on the last quarter a chain fitted on the rest."""
        self.learn(Unseen.of(history), seed=seed)

    def learn(self, unseen: Unseen, *, seed: int = 0) -> None:
        """The same, with the forecast given that it is judged by."""
        self.chain = _fitted(unseen.history.until(unseen.first), seed)
        self.gain = self.judged(unseen)
        self.chain = _fitted(unseen.history, seed)

    def read(self, history: History, rows: int = 1, *, tape: Tape | None = None) -> dict[str, FloatArray]:
        """`trending`, `ranging`, `volatile`: probabilities that sum to 1; NaN where the last hour is not known."""
        minutes = rows + self.lookback
        part = History(history.open_times[-minutes:], history.ohlcv[:, -minutes:], history.market, history.zone)
        seen = observations(tape or Tape(part))
        last = np.arange(max(seen.shape[1] - rows, 0), seen.shape[1])
        found = self.at(seen, last)
        return {name: found[..., place] for place, name in enumerate(STATES)}

    def at(self, seen: FloatArray, rows: IntArray) -> FloatArray:
        """Filtered probabilities (I, R, S) at `rows` of the observations (I, T, K) of I instruments."""
        if self.chain is None:
            raise TooLittleHistory("the regime has not been learned yet: train it first")
        back = rows[:, None] - STEP * np.arange(STEPS - 1, -1, -1)
        found = np.empty((*seen.shape[:1], len(rows), len(self.chain.start)))
        most = max(TOGETHER // max(len(rows), 1), 1)  # few rows of many instruments cost a step once, many rows memory
        for first in range(0, len(seen), most):
            some = seen[first : first + most]
            windows = np.where((back >= 0)[..., None], some[:, np.maximum(back, 0)], np.nan)
            flat = self.chain.filtered(windows.reshape(-1, *windows.shape[2:]))
            found[first : first + most] = flat.reshape(*windows.shape[:2], -1)
        known = np.isfinite(seen[:, rows]).all(axis=-1, keepdims=True)
        return np.where(known, found, np.nan)

    def judged(self, unseen: Unseen) -> tuple[float | None, float | None, float | None]:
        """Mean QLIKE that the regime saves, and its 95 % interval; None where too little is known.

        Factors come from the first half of the unseen rows, the figure from the second. The chain must not have seen
        either.
        """
        history, early = unseen.history, unseen.first
        rows, came, said = unseen.rows(STEP)
        belief = self.at(observations(Tape(history)), rows)
        known = np.isfinite(came) & np.isfinite(said) & np.isfinite(belief).all(axis=-1)
        first = known & (rows < (early + len(history.open_times)) // 2)
        second = known & ~first
        if first.sum() < LEAST_JUDGED or second.sum() < LEAST_JUDGED:
            return None, None, None
        ratio = came / np.where(known, said, 1.0)
        factors = (belief[first] * ratio[first][:, None]).sum(axis=0) / np.maximum(belief[first].sum(axis=0), 1.0)
        plain = ratio[second] / ratio[first].mean()
        scaled = ratio[second] / np.maximum(belief[second] @ factors, 1e-3)
        saved = (plain - np.log(plain)) - (scaled - np.log(scaled))
        times = np.broadcast_to(history.open_times[rows], came.shape)[second]
        low, high = day_bootstrap(saved, times)
        return float(saved.mean()), low, high

    def save(self, folder: Path) -> None:
        """One JSON file."""
        chain = {name: part.tolist() for name, part in asdict(self.chain).items()} if self.chain else None
        (folder / FILE).write_text(json.dumps({"chain": chain, "gain": self.gain}))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read it again."""
        found: dict[str, Any] = json.loads((folder / FILE).read_text())
        parts = {name: np.array(part) for name, part in (found["chain"] or {}).items()}
        return cls(Chain(**parts) if parts else None, found["gain"])


def observations(tape: Tape) -> FloatArray:
    """What the chain sees of each minute, (I, T, 2), NaN where the hour is not known.

    Log of the hour's variance over the day's; net move of the hour over the path it took, 0 to 1.
    """
    path = tape.mean("size", SPAN)
    with np.errstate(divide="ignore", invalid="ignore"):
        straight = np.abs(tape.mean("return", SPAN)) / path
    seen = np.stack([tape.over_day(tape.mean("square", SPAN)), straight], axis=-1)
    return np.where(np.isfinite(seen).all(axis=-1, keepdims=True), neutral(seen), np.nan)


def _fitted(history: History, seed: int) -> Chain:
    """The chain of all instruments, its states put in the order of `STATES` by what they are like."""
    from hmmlearn.hmm import GaussianHMM  # its imports take seconds, and only training needs them

    grid = np.flatnonzero((history.open_times // MINUTE_S + 1) % STEP == 0)
    parts = [row[np.isfinite(row).all(axis=1)] for row in observations(Tape(history))[:, grid]]
    parts = [part for part in parts if len(part) > STEPS]
    most = max(MOST_STEPS // max(len(parts), 1), STEPS)
    parts = [part[-most:] for part in parts]
    if sum(map(len, parts)) < LEAST_STEPS:
        raise TooLittleHistory(f"{sum(map(len, parts))} quarter hours are too few for regimes: load more candles")
    seen = np.concatenate(parts)
    model = GaussianHMM(len(STATES), "full", n_iter=ITERATIONS, random_state=seed, tol=1e-3, init_params="")
    model.startprob_ = np.full(len(STATES), 1 / len(STATES))
    model.transmat_ = np.full((len(STATES),) * 2, (1 - STAYS) / (len(STATES) - 1))
    np.fill_diagonal(model.transmat_, STAYS)
    groups = _guess(seen)
    model.means_ = np.stack([group.mean(axis=0) for group in groups])
    model.covars_ = np.stack([np.cov(group.T) + PRIOR * np.eye(seen.shape[1]) for group in groups])
    model.fit(seen, [len(part) for part in parts])
    order = ordered(model.means_)
    steady = model.get_stationary_distribution()
    return Chain(steady[order], model.transmat_[np.ix_(order, order)], model.means_[order], model.covars_[order])


def _guess(seen: FloatArray) -> list[FloatArray]:
    """Where the fit starts: the wildest third, and the straighter and the more crooked half of the rest."""
    wild = seen[:, 0] >= np.quantile(seen[:, 0], 2 / 3)
    straight = seen[:, 1] >= np.median(seen[~wild, 1])
    return [seen[~wild & straight], seen[~wild & ~straight], seen[wild]]


def ordered(means: FloatArray) -> list[int]:
    """States by their properties: the one of highest variance is volatile, the straighter of the others trending."""
    volatile = int(np.argmax(means[:, 0]))
    others = [state for state in range(len(means)) if state != volatile]
    trending = max(others, key=lambda state: float(means[state, 1]))
    ranging = next(state for state in others if state != trending)
    return [trending, ranging, volatile]
