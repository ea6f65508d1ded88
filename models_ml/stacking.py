"""The stack of a venue: learned on minutes that the voters have not met, and its map refitted every day.

The champions are asked again about stored minutes after everything they learned from; that is what they would have
said, and what came of it is known. The last fifth of those minutes stays unseen by the stack itself: it tells how often
its statements come true, and then sharpens its map.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
from django.conf import settings
from numpy.typing import NDArray

from lib import clock
from markets.values import FloatArray, IntArray
from models_ml import artifacts
from models_ml.agents.meta import Stack, context_of
from models_ml.champions import read_champions, unseen_from
from models_ml.features import FEATURES_HASH, VECTOR
from models_ml.fitting import decision_times
from models_ml.models import Calibration, ModelVersion
from models_ml.panel import LoadedModel, PanelVotes, cast_votes
from models_ml.samples import Samples
from models_ml.storing import Origin, store
from models_ml.validation.bins import bin_of
from models_ml.validation.metrics import evaluate
from models_ml.voters import SEATS
from models_ml.voters.base import CorruptArtifact, NotEnoughData, thin
from models_ml.votes import AbstainReason

log = structlog.get_logger(__name__)
EARLY_SHARE = 0.8
"""Of the unseen minutes, by time: the rest tells how often the stack is right."""
LOCAL_PANEL = 7


@dataclass(frozen=True, slots=True)
class Replay:
    """What the champions say on minutes that they have not met, with what came of it."""

    samples: Samples
    votes: PanelVotes
    context: FloatArray
    labels: NDArray[np.int8]
    times: IntArray

    def part(self, rows: NDArray[np.bool_]) -> "Replay":
        """Only some rows."""
        votes = self.votes
        cut = PanelVotes(
            votes.probabilities[rows],
            votes.direction[rows],
            votes.abstained[rows],
            votes.latency_ms[rows],
            votes.model_ids,
        )
        samples = self.samples.pick(np.flatnonzero(rows))
        return Replay(samples, cut, self.context[rows], self.labels[rows], self.times[rows])

    @property
    def facts(self) -> tuple[FloatArray, FloatArray, IntArray]:
        """Votes (N, 9, 3), context (N, K) and instruments (N,): what a stack reads."""
        return self.votes.probabilities.astype(np.float64), self.context, self.market

    @property
    def market(self) -> IntArray:
        """Instrument number of each row (N,)."""
        return np.asarray(self.samples.market[self.samples.index[:, 0]])


def replay(venue_id: int, market_class: str, samples: Samples, *, most: int, seed: int = 0) -> Replay | None:
    """Ask the champions about the rows of `samples` that most of them never met; None where there is nobody or nothing.

    A voter that had met a minute is silent there: one that was trained later, or whose source goes back days only,
    costs the others nothing.
    """
    loaded = read_champions(venue_id, market_class)
    if not loaded:
        return None
    times = decision_times(samples)
    starts = {seat: unseen_from(version) for seat, (version, _) in loaded.items()}
    start = sorted(starts.values())[len(starts) // 2]
    samples = thin(samples.pick((times >= start) & (samples.labels() >= 0)), most, seed)
    if not len(samples):
        return None
    times = decision_times(samples)
    met = {seat: times < first for seat, first in starts.items()}
    votes = _votes({seat: model for seat, (_, model) in loaded.items()}, samples, met)
    return Replay(samples, votes, context_of(samples, VECTOR), samples.labels(), times)


def learn(seen: Replay, origin: Origin) -> ModelVersion | None:
    """Fit a stack on a replay and store it as a candidate; None where too few minutes moved."""
    cut = np.quantile(seen.times, EARLY_SHARE)
    early, late = seen.part(seen.times < cut), seen.part(seen.times >= cut)
    try:
        stack = Stack.fit(*early.facts, early.labels, early.times, seats=SEATS, seed=origin.seed)
    except NotEnoughData as error:
        log.info("stack_not_learned", market_class=origin.market_class, reason=str(error))
        return None
    said = stack.predict(*late.facts)
    figures = evaluate(stack.outcomes(said, late.market), late.labels, late.times, seed=origin.seed)
    metrics = {"later": figures, "weights": stack.weights(), "unseen_from": int(cut)}
    version = store(stack, origin, threshold=0.0, metrics=metrics)
    _map(version, stack, late, origin)
    return version


def refit(version: ModelVersion, seen: Replay) -> bool:
    """Refit the map of the stack in force on revealed outcomes after what it learned from; whether there were any."""
    folder = Path(settings.ARTIFACTS_DIR) / version.path
    try:
        stack = artifacts.read_stack(folder, version.sha256, FEATURES_HASH)
    except CorruptArtifact as error:
        log.warning("stack_not_refitted", model_id=version.pk, error=str(error))
        return False
    late = seen.part(seen.times >= unseen_from(version))
    if not len(late.times):
        return False
    origin = Origin(version.venue, version.market_class, "", "", 0, version.trained_from, version.trained_until, {})
    _map(version, stack, late, origin)
    return True


def _map(version: ModelVersion, stack: Stack, late: Replay, origin: Origin) -> None:
    """Store how often the stack was right on rows it had not met, and its map with what they teach."""
    bins = bins_of(stack, stack.predict(*late.facts), late)
    refitted = stack.refit_calibrator(*late.facts, late.labels, late.times)
    Calibration.objects.create(
        venue=origin.venue,
        market_class=origin.market_class,
        seats=LOCAL_PANEL,
        stack=version,
        knots={"calibrator": refitted.calibrator.as_json(), "bins": bins},
        n=int(np.isfinite(stack.score(*late.facts)).sum()),
        trained_until=clock.from_epoch(int(late.times.max())),
    )


def bins_of(stack: Stack, up: FloatArray, late: Replay) -> dict[str, tuple[int, int]]:
    """Bin → (cases, right) of what would have been stated for the side that each row leans to; a tie is not right."""
    tie = stack.ties.of(late.market)
    use = np.isfinite(up)
    side = np.where(up > 0.5, 1, -1)[use]
    stated = ((1 - tie) * np.where(up > 0.5, up, 1 - up))[use]
    right = late.labels[use] == side + 1
    found: dict[str, tuple[int, int]] = {}
    for value, hit in zip(stated.tolist(), right.tolist(), strict=True):
        n, hits = found.get(str(bin_of(value)), (0, 0))
        found[str(bin_of(value))] = n + 1, hits + hit
    return found


def _votes(models: Mapping[str, LoadedModel], samples: Samples, met: Mapping[str, NDArray[np.bool_]]) -> PanelVotes:
    """The votes (N, 9) of these models, without deadlines; other seats, and rows they have met, are `UNTRAINED`."""
    rows = len(samples)
    probabilities = np.full((rows, len(SEATS), 3), np.nan, dtype=np.float32)
    direction = np.zeros((rows, len(SEATS)), dtype=np.int8)
    abstained = np.full((rows, len(SEATS)), AbstainReason.UNTRAINED, dtype=np.int8)
    ids = np.zeros(len(SEATS), dtype=np.int64)
    for seat, model in models.items():
        place = SEATS.index(seat)
        ids[place] = model.model_id
        fresh = np.flatnonzero(~met[seat])
        votes = cast_votes(model.voter.predict(samples.pick(fresh)), model, len(fresh))
        probabilities[fresh, place], direction[fresh, place], abstained[fresh, place] = votes
    return PanelVotes(probabilities, direction, abstained, np.zeros((rows, len(SEATS)), dtype=np.float32), ids)
