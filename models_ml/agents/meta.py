"""The stacker: from nine votes and their context to one calibrated probability.

A regularised logistic regression on the log-odds of the votes, and a small XGBoost over votes and context that starts
from it and is left out where it adds nothing sure. The regression starts from the mean vote and lets single voters and
instruments depart from it as far as their own record supports, so that a copy of a voter changes little and an
instrument never seen gets what all share. Ties are their own outcome: everything here is about P(up | moved), and
`TieRates` says how often nothing moves.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.agents import context as contexts
from models_ml.agents.boosting import Boosted
from models_ml.agents.calibration import Calibrator, abstention_band, nonconformity
from models_ml.agents.linear import Columns, Linear
from models_ml.agents.logistic import logit, sigmoid
from models_ml.validation.metrics import rise_given_move
from models_ml.validation.splits import PURGE_S
from models_ml.voters import VOTERS
from models_ml.voters.base import CorruptArtifact, NotEnoughData
from models_ml.voters.trees import TieRates

if TYPE_CHECKING:
    from models_ml.samples import Samples

FILE, FORMAT = "stack.json", 2
SURE_OF_NOTHING = 0.02
"""A vote counts as at most this far from certain: one voter's certainty is never the panel's."""
CALIBRATION_SHARE = 0.25
"""The latest share of the rows: it calibrates models that never met it, and only then do these learn from it too."""
CLIMATE_ROWS = 20_000.0
"""Rows at one half that the share of rises is mixed with before a map starts from it."""
LEAST_ROWS = 400
"""Minutes that moved, under which there is nothing to weigh voters by."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """P(up | moved) with 95 % bounds, (N,) each; NaN where no voter was heard."""

    probability: FloatArray
    lower: FloatArray
    upper: FloatArray


@dataclass(frozen=True)
class Stack:
    """A fitted stacker. Immutable: refits return another one."""

    key: ClassVar[str] = "meta"
    seats: tuple[str, ...]
    context_names: tuple[str, ...]
    heard: tuple[bool, ...]  # seats whose votes count
    linear: Linear
    boosted: Boosted
    calibrator: Calibrator
    doubts: FloatArray  # (101,) quantiles of past nonconformity
    ties: TieRates
    rows: int
    trained_until: int  # epoch second of the last decision learned from

    @classmethod
    def fit(
        cls,
        votes: FloatArray,
        context: FloatArray,
        market: IntArray,
        labels: NDArray[np.int8],
        times: IntArray,
        *,
        seats: Sequence[str],
        context_names: Sequence[str] = contexts.NAMES,
        seed: int = 0,
        proven: Collection[str] = (),
    ) -> "Stack":
        """Learn from votes that were cast on minutes their voters had not learned from.

        Args:
            votes: (N, S, 3) P(down, neutral, up); NaN where a voter abstained.
            context: (N, K); NaN where unknown.
            market: (N,) stable instrument numbers.
            labels: (N,) 0 down, 1 tie, 2 up, −1 unknown.
            times: (N,) epoch seconds of the decisions, in any order.
            seats: S names; language models among them weigh nothing unless in `proven`.
            context_names: K names.
            seed: of the trees.
            proven: language models whose forward log-loss gain has an interval above zero.

        Raises:
            NotEnoughData: fewer than `LEAST_ROWS` minutes moved and have a vote.
        """
        heard = _heard(votes, seats, proven)
        known = (labels >= 0) & _spoke(votes)[:, heard].any(axis=1)
        moved = np.flatnonzero(known & (labels != 1))
        moved = moved[np.argsort(times[moved], kind="stable")]
        if len(moved) < LEAST_ROWS:
            raise NotEnoughData(f"{len(moved)} minutes moved and have a vote, the stack needs {LEAST_ROWS}: wait")
        odds, up, when = vote_log_odds(votes)[moved][:, heard], labels[moved] == 2, times[moved]
        around, markets = context[moved].astype(np.float64), market[moved]
        late = when >= np.quantile(when, 1 - CALIBRATION_SHARE)
        early = when < when[late].min() - PURGE_S
        if not early.any():
            raise NotEnoughData("all decisions to learn from fall into one minute: wait")
        columns = Columns.learn(odds[early], around[early])
        linear = Linear.choose(columns, odds[early], around[early], markets[early], up[early])
        start = linear(odds[early], around[early], markets[early])
        boosted = Boosted.choose(odds[early], around[early], markets[early], up[early], start, seed)
        later = odds[late], around[late], markets[late]
        unseen = linear(*later) + boosted(*later)
        calibrator = Calibrator.learn(
            unseen, up[late], Calibrator(intercept=_climate(up[early])), minutes=len(np.unique(when[late]))
        )
        whole = linear.again(odds, around, markets, up)
        return cls(
            tuple(seats),
            tuple(context_names),
            tuple(heard.tolist()),
            whole,
            boosted.again(odds, around, markets, up, whole(odds, around, markets), seed),
            calibrator,
            nonconformity(calibrator(unseen)[0], up[late]),
            TieRates.learn(market[known], labels[known]),
            len(moved),
            int(when[-1]),
        )

    def score(self, votes: FloatArray, context: FloatArray, market: IntArray) -> FloatArray:
        """Log-odds (N,) before calibration; NaN where no voter was heard."""
        odds = vote_log_odds(votes)[:, np.array(self.heard)]
        around = context.astype(np.float64)
        said = self.linear(odds, around, market) + self.boosted(odds, around, market)
        return np.where(np.isfinite(odds).any(axis=1), said, np.nan)

    def predict(self, votes: FloatArray, context: FloatArray, market: IntArray) -> FloatArray:
        """Calibrated P(up | moved), (N,), of votes (N, S, 3), context (N, K) and instruments (N,)."""
        return self.calibrated(votes, context, market).probability

    def calibrated(self, votes: FloatArray, context: FloatArray, market: IntArray) -> Calibrated:
        """`predict` with the bounds of its calibration block."""
        return Calibrated(*self.calibrator(self.score(votes, context, market)))

    def outcomes(self, probability: FloatArray, market: IntArray) -> FloatArray:
        """P(down, tie, up), (N, 3), of calibrated P(up | moved) and each instrument's share of ties."""
        tie = self.ties.of(market)
        return np.stack([(1 - tie) * (1 - probability), tie, (1 - tie) * probability], axis=1)

    def refit_calibrator(
        self, votes: FloatArray, context: FloatArray, market: IntArray, labels: NDArray[np.int8], times: IntArray
    ) -> "Stack":
        """The same models with the map of the latest revealed outcomes, which they must not have learned from.

        The map in force counts as 5,000 minutes, so a day may be handed in as well as a week.
        """
        scores = self.score(votes, context, market)
        use = np.isfinite(scores) & (labels >= 0) & (labels != 1)
        if not use.any():
            return self
        up = labels[use] == 2
        calibrator = Calibrator.learn(scores[use], up, self.calibrator, minutes=len(np.unique(times[use])))
        doubts = nonconformity(calibrator(scores[use])[0], up) if use.sum() >= LEAST_ROWS else self.doubts
        return replace(self, calibrator=calibrator, doubts=doubts, trained_until=int(times[use].max()))

    def refit_weights(
        self, votes: FloatArray, context: FloatArray, market: IntArray, labels: NDArray[np.int8], times: IntArray
    ) -> "Stack":
        """The same trees and map with the regression learned anew from the rows handed in: the last layer."""
        odds = vote_log_odds(votes)[:, np.array(self.heard)]
        use = np.isfinite(odds).any(axis=1) & (labels >= 0) & (labels != 1)
        if use.sum() < LEAST_ROWS:
            return self
        linear = self.linear.again(odds[use], context[use].astype(np.float64), market[use], labels[use] == 2)
        return replace(self, linear=linear, rows=int(use.sum()), trained_until=int(times[use].max()))

    def band(self, level: float) -> float:
        """Half-width around ½ inside which the conformal set of that coverage holds both directions: abstain."""
        return abstention_band(self.doubts, level)

    def weights(self) -> dict[str, float]:
        """How far one unit of a voter's log-odds moves the regression's, by seat; 0 for seats that are not heard."""
        own = iter(self.linear.seat_weights())
        return {seat: next(own) if heard else 0.0 for seat, heard in zip(self.seats, self.heard, strict=True)}

    def save(self, folder: Path) -> None:
        """Write JSON and, where there are trees, an `.ubj` into an existing empty folder."""
        facts = {
            "format": FORMAT,
            "seats": self.seats,
            "context": self.context_names,
            "heard": self.heard,
            "linear": self.linear.as_json(),
            "calibrator": self.calibrator.as_json(),
            "doubts": self.doubts.tolist(),
            "ties": asdict(self.ties),
            "rows": self.rows,
            "trained_until": self.trained_until,
            "boosted": self.boosted.as_json(),
        }
        (folder / FILE).write_text(json.dumps(facts))
        self.boosted.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; raises `CorruptArtifact`."""
        try:
            return cls._from_json(json.loads((folder / FILE).read_text()), folder)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CorruptArtifact(f"{folder / FILE} is no stack of ours ({error}): train again") from error

    @classmethod
    def _from_json(cls, facts: dict[str, Any], folder: Path) -> Self:
        if facts["format"] != FORMAT:
            raise CorruptArtifact(f"{folder / FILE} has format {facts['format']}, not {FORMAT}: train again")
        ties = facts["ties"]
        return cls(
            tuple(facts["seats"]),
            tuple(facts["context"]),
            tuple(facts["heard"]),
            Linear.from_json(facts["linear"]),
            Boosted.load(facts["boosted"], folder),
            Calibrator.from_json(facts["calibrator"]),
            np.array(facts["doubts"], dtype=np.float64),
            TieRates(tuple(ties["markets"]), tuple(ties["rates"]), float(ties["overall"])),
            int(facts["rows"]),
            int(facts["trained_until"]),
        )


def vote_log_odds(votes: FloatArray) -> FloatArray:
    """Log-odds (N, S) of up against down of votes (N, S, 3); NaN where a voter abstained."""
    rows, seats = votes.shape[:2]
    flat = votes.reshape(-1, 3).astype(np.float64)
    odds = logit(rise_given_move(np.nan_to_num(flat)), SURE_OF_NOTHING)
    return np.where(np.isfinite(flat).all(axis=1), odds, np.nan).reshape(rows, seats)


def mean_vote(votes: FloatArray) -> FloatArray:
    """P(up | moved) (N,) of the mean log-odds of who voted; NaN where nobody did."""
    odds = vote_log_odds(votes)
    heard = np.isfinite(odds)
    count = heard.sum(axis=1)
    mean = np.nan_to_num(odds).sum(axis=1) / np.maximum(count, 1)
    return np.where(count > 0, sigmoid(mean), np.nan)


def context_of(samples: "Samples", columns: Sequence[str]) -> FloatArray:
    """The context (N, K) of `contexts.NAMES`, see there."""
    return contexts.of(samples, columns)


def _climate(up: NDArray[np.bool_]) -> float:
    """Log-odds of the share of rises, as far as so many rows support it."""
    share = (up.sum() + CLIMATE_ROWS / 2) / (len(up) + CLIMATE_ROWS)
    return float(logit(np.array([share]))[0])


def _heard(votes: FloatArray, seats: Sequence[str], proven: Collection[str]) -> NDArray[np.bool_]:
    """Seats (S,) that have a vote at all and are no unproven language model."""
    silent = ~_spoke(votes).any(axis=0)
    unproven = [seat in VOTERS and VOTERS[seat].llm and seat not in proven for seat in seats]
    heard = ~silent & ~np.array(unproven)
    if not heard.any():
        raise NotEnoughData("no voter whose votes may count has voted: train the panel first")
    return heard


def _spoke(votes: FloatArray) -> NDArray[np.bool_]:
    """Who voted when, (N, S)."""
    return np.asarray(np.isfinite(votes).all(axis=2))
