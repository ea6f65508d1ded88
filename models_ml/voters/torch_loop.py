"""The one training loop of all nets, and what a net needs around it to be a voter."""

import json
import math
import time
from abc import abstractmethod
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from markets.values import FloatArray, IntArray
from models_ml.profiles import Profile
from models_ml.samples import Samples
from models_ml.targets import targets
from models_ml.validation.comparison import gains
from models_ml.voters.base import (
    CorruptArtifact,
    FitReport,
    NotEnoughData,
    OnStep,
    Voter,
    known_labels,
    thin,
)
from models_ml.voters.leaning import slope_of
from models_ml.voters.linear import Linear
from models_ml.voters.nets import LeanNet, Net
from models_ml.voters.steps import Average, Mover, pace

CHUNK = 256
"""Rows per forward pass outside training: what stays in the cache of a core is faster than a long batch."""
WEIGHT_DECAY = 0.01
FORGET_MARKET = 0.05
"""Share of training rows shown as the unknown instrument, so that number 0 means something to the net."""
SURE = 2.0
"""Standard errors by which an epoch has to gain on held-out moves: nothing else tells a lesson from luck."""
SCALE_ROWS = 20_000
"""Rows from which the linear part takes its scale, before all of them are read once."""

Arrays = tuple[NDArray[np.float32], ...]
Labelled = tuple[Samples, NDArray[np.int8]]


class View(Protocol):
    """The inputs of one net over the rows of some samples, made when asked for.

    Training shows half of the rows upside down with the opposite outcome. The drift of the training days is no
    forecast, and a net that may learn it answers "up" to everything; a mirrored market has none.
    """

    def read(self, rows: IntArray) -> tuple[Arrays, NDArray[np.bool_]]:
        """Input arrays (n, ...) of the chosen rows and which of them can be read."""

    def mirror(self, inputs: Arrays) -> Arrays:
        """The same inputs had every price moved the other way."""


class NetVoter(Voter):
    """A pooled net over all instruments of a market class; subclasses give its view, its shape and the net itself."""

    file: ClassVar[str] = "net.safetensors"
    net: Net
    shape: dict[str, Any]
    markets: IntArray

    @abstractmethod
    def design(self, profile: Profile, train: Samples) -> dict[str, Any]:
        """The sizes and choices that rebuild the net and its view: plain JSON."""

    @abstractmethod
    def build(self, shape: dict[str, Any], markets: int) -> Net:
        """A new net; `markets` counts the known instruments and the unknown one."""

    @abstractmethod
    def view(self, samples: Samples) -> View:
        """How this net sees the samples."""

    def prepare(self, train: Samples) -> None:
        """Take from the training rows what is no weight; most nets scale their inputs by themselves."""
        del train

    def renew(self, *parts: Samples) -> None:
        """See `Voter.renew`: draw the linear part, where the net has one; mirrored rows keep it even."""
        if not self._lined:
            return
        net, share = self._lean(), SCALE_ROWS // len(parts)
        sample = [rows for part in parts for rows, _ in self._straight(net, thin(part, share, 0))]
        start = Linear.scaled(np.concatenate(sample))
        blocks = (block for part in parts for block in self._straight(net, part))
        net.draw_line(start.fitted(blocks, (1.0, float(len(parts[0].market)))))

    @property
    def _lined(self) -> bool:
        return isinstance(self.net, LeanNet) and self.net.line.shape[1] > 0

    def _straight(self, net: LeanNet, samples: Samples) -> Iterator[tuple[NDArray[np.float32], FloatArray]]:
        """What the linear part reads of each row and of its mirror, with what it is to say."""
        view, goal = self.view(samples), _goal(samples)
        for some in _chunks(len(samples)):
            inputs, known = view.read(some)
            use = known & np.isfinite(goal[some]).all(axis=1)
            numbers = torch.zeros(int(use.sum()), dtype=torch.int64).to(device())
            for seen, sign in ((inputs, 1.0), (view.mirror(inputs), -1.0)):
                there = (torch.from_numpy(part[use]).to(device()) for part in seen)
                yield net.straight(*there, numbers).cpu().numpy(), sign * goal[some][use]

    def rows_needed(self, profile: Profile) -> int:
        """Readable training rows under which the seat stays untrained."""
        return profile.min_rows

    def fit(
        self, train: Samples, validation: Samples, profile: Profile, *, seed: int = 0, on_step: OnStep | None = None
    ) -> FitReport:
        """See `Voter.fit`."""
        self.check(train)
        started = time.perf_counter()
        torch.set_num_threads(1)
        lined = thin(train, profile.line_rows, seed)
        self.shape = self.design(profile, thin(train, profile.max_rows, seed))
        (train, labels), (validation, held) = self._parts(train, validation, profile, seed)
        self.markets = np.unique(train.market[train.index[:, 0]])
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.net = self.build(self.shape, len(self.markets) + 1).to(device())
            self.net.set_prior(labels)
            self.prepare(train)
            self.renew(lined)
            steps = self._loop((train, labels), (validation, held), profile, on_step)
            self._settle(validation, held)
            self.renew(lined, validation)  # a line needs no held-out rows, and the newest days say most
        learned, kept = self.told(train, labels, seed), self.told(validation, held, seed)
        return FitReport(len(labels), steps, learned, kept, time.perf_counter() - started)

    def update(
        self, train: Samples, validation: Samples, profile: Profile, *, seed: int = 0, on_step: OnStep | None = None
    ) -> FitReport:
        """See `Voter.update`: draws the line and the slope anew; what the net learned beside them stays.

        A net without a line, or of other sizes than the profile's, is fitted.
        """
        self.check(train)
        if not self._lined or self.shape != self.design(profile, train):
            return self.fit(train, validation, profile, seed=seed, on_step=on_step)
        started = time.perf_counter()
        torch.set_num_threads(1)
        lined = thin(train, profile.line_rows, seed)
        (train, labels), (validation, held) = self._parts(train, validation, profile, seed)
        self.renew(lined)
        self._settle(validation, held)
        self.renew(lined, validation)
        if on_step:
            on_step(1, 1)
        learned, kept = self.told(train, labels, seed), self.told(validation, held, seed)
        return FitReport(len(labels), 0, learned, kept, time.perf_counter() - started)

    def predict(self, samples: Samples) -> FloatArray:
        """See `Voter.predict`."""
        self.check(samples)
        torch.set_num_threads(1)
        out = np.full((len(samples), 3), np.nan)
        self.net.eval()
        view = self.view(samples)
        for rows in _chunks(len(samples)):
            inputs, known = view.read(rows)
            if known.any():
                out[rows[known]] = self._answer(tuple(part[known] for part in inputs), samples, rows[known])
        return out

    def save(self, folder: Path) -> None:
        """See `Voter.save`."""
        meta = {"columns": self.columns, "shape": self.shape, "markets": self.markets.tolist()}
        (folder / "voter.json").write_text(json.dumps(meta))
        save_file({name: part.cpu().contiguous() for name, part in self.net.state_dict().items()}, folder / self.file)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """See `Voter.load`."""
        meta = json.loads((folder / "voter.json").read_text())
        voter = cls(tuple(meta["columns"]))
        voter.shape, voter.markets = meta["shape"], np.array(meta["markets"], dtype=np.int64)
        voter.net = voter.build(voter.shape, len(voter.markets) + 1)
        try:
            voter.net.load_state_dict(load_file(folder / cls.file))
        except (SafetensorError, RuntimeError) as error:
            raise CorruptArtifact(f"{folder / cls.file} does not fit its net ({error}): train again") from error
        voter.net.to(device()).eval()
        return voter

    def _parts(self, train: Samples, validation: Samples, profile: Profile, seed: int) -> tuple[Labelled, Labelled]:
        """What of both slices a net learns from and is held to; raises `NotEnoughData`."""
        learned = self._learnable(thin(train, profile.max_rows, seed))
        held = self._learnable(thin(validation, max(profile.max_rows // 2, 1), seed))
        needed = self.rows_needed(profile)
        if len(learned[1]) < needed or not len(held[1]):
            raise NotEnoughData(
                f"voter {self.key!r}: {len(learned[1])} training and {len(held[1])} validation rows can be read, "
                f"{needed} and 1 are needed: load more history"
            )
        return learned, held

    def _learnable(self, samples: Samples) -> tuple[Samples, NDArray[np.int8]]:
        view = self.view(samples)
        known = [view.read(rows)[1] for rows in _chunks(len(samples))]
        return known_labels(samples, np.concatenate(known) if known else np.zeros(0, dtype=bool))

    def _numbers(self, samples: Samples, rows: IntArray) -> IntArray:
        """Embedding numbers (n,): 0 for an instrument the net has never met."""
        market = samples.market[samples.index[rows, 0]]
        place = np.minimum(np.searchsorted(self.markets, market), len(self.markets) - 1)
        return np.where(self.markets[place] == market, place + 1, 0)

    def _answer(self, inputs: Arrays, samples: Samples, rows: IntArray) -> FloatArray:
        with torch.inference_mode():
            numbers = torch.from_numpy(self._numbers(samples, rows)).to(device())
            logits = self.net(*(torch.from_numpy(part).to(device()) for part in inputs), numbers)
            answer: FloatArray = functional.softmax(logits.double(), dim=1).cpu().numpy()
        return answer

    def _loop(self, train: Labelled, validation: Labelled, profile: Profile, on_step: OnStep | None) -> int:
        """AdamW; keeps the averaged weights of an epoch that says more of held-out moves than chance would. Epochs.

        Until one does, what is kept is the start: the line alone, and silence where there is none.
        """
        optimizer = torch.optim.AdamW(self.net.parameters(), lr=profile.learning_rate, weight_decay=WEIGHT_DECAY)
        batches = math.ceil(len(train[1]) / profile.batch)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(pace, total=batches * profile.epochs))
        average, kept = Average(self.net), self._weights()
        goals = _goal(train[0]), _goal(validation[0])
        best, since, epoch = self._errors(validation[0], goals[1]), 0, 0
        for epoch in range(1, profile.epochs + 1):
            self._epoch(*train, goals[0], batches, Mover(optimizer, schedule, average))
            latest = self._weights()
            self.net.load_state_dict(average.weights)
            errors = self._errors(validation[0], goals[1])
            if gains(best - errors, SURE):
                best, kept, since = errors, self._weights(), 0
            else:
                since += 1
            self.net.load_state_dict(latest)
            if on_step:
                on_step(epoch, profile.epochs)
            if since >= profile.patience:
                break
        self.net.load_state_dict(kept)
        self.net.eval()
        return epoch

    def _epoch(
        self,
        train: Samples,
        labels: NDArray[np.int8],
        goal: FloatArray,
        batches: int,
        mover: Mover,
    ) -> None:
        self.net.train()
        view, order = self.view(train), torch.randperm(len(labels)).numpy()
        for rows in np.array_split(order, batches):
            inputs, outcomes, aims = _half_mirrored(view, view.read(rows)[0], labels[rows], goal[rows])
            numbers = torch.from_numpy(self._numbers(train, rows))
            numbers[torch.rand(len(rows)) < FORGET_MARKET] = 0
            mover.step(self.net, self._lean().loss(*_there(inputs, numbers, outcomes, aims)))

    def _errors(self, samples: Samples, goal: FloatArray) -> FloatArray:
        """Squared error of the moves of each row (N,), in order of time."""
        net, view, found = self._lean(), self.view(samples), []
        net.eval()
        with torch.inference_mode():
            for rows in _chunks(len(goal)):
                numbers, ties = torch.from_numpy(self._numbers(samples, rows)), np.zeros(len(rows), np.int64)
                inputs, market, _, aims = _there(view.read(rows)[0], numbers, ties, goal[rows])
                found.append(net.errors(inputs, market, aims)[0].double().cpu().numpy())
        return np.asarray(np.concatenate(found)[np.argsort(samples.index[:, 1], kind="stable")])

    def _lean(self) -> LeanNet:
        if not isinstance(self.net, LeanNet):
            raise TypeError(f"voter {self.key!r} has no expected move: it needs a loop of its own")
        return self.net

    def _settle(self, validation: Samples, held: NDArray[np.int8]) -> None:
        """Turn expected moves into chances as the validation rows say."""
        moved = np.flatnonzero(held != 1)
        if not isinstance(self.net, LeanNet) or not len(moved):
            return
        samples, leans = validation.pick(moved), []
        view = self.view(samples)
        with torch.inference_mode():
            for rows in _chunks(len(moved)):
                numbers = torch.from_numpy(self._numbers(samples, rows)).to(device())
                inputs = (torch.from_numpy(part).to(device()) for part in view.read(rows)[0])
                leans.append(self.net.lean(*inputs, numbers).double().cpu().numpy())
        self.net.settle(slope_of(np.concatenate(leans), held[moved] == 2))

    def _weights(self) -> dict[str, Tensor]:
        return {name: part.detach().clone() for name, part in self.net.state_dict().items()}


def _half_mirrored(
    view: View, inputs: Arrays, labels: NDArray[np.int8], goal: FloatArray
) -> tuple[Arrays, IntArray, FloatArray]:
    """Inputs, outcomes and goals with every other row of the shuffled batch upside down."""
    flip = np.arange(len(labels)) % 2 == 1
    mixed = tuple(
        np.where(flip.reshape(-1, *[1] * (part.ndim - 1)), turned, part)
        for part, turned in zip(inputs, view.mirror(inputs), strict=True)
    )
    return mixed, np.where(flip, 2 - labels, labels).astype(np.int64), np.where(flip[:, None], -goal, goal)


def _goal(samples: Samples) -> FloatArray:
    """Own and shared part of the next move, (N, 2), their means taken out: drift is no forecast."""
    goal = np.stack([(found := targets(samples)).own, found.shared], axis=1)
    return goal - np.nan_to_num(np.nanmean(goal, axis=0)) if np.isfinite(goal).any() else goal


def _there(
    inputs: Arrays, numbers: Tensor, outcomes: IntArray, goal: FloatArray
) -> tuple[tuple[Tensor, ...], Tensor, Tensor, Tensor]:
    """A batch on the device."""
    to = device()
    return (
        tuple(torch.from_numpy(part).to(to) for part in inputs),
        numbers.to(to),
        torch.from_numpy(outcomes).to(to),
        torch.from_numpy(goal.astype(np.float32)).to(to),
    )


def device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _chunks(rows: int) -> Iterator[IntArray]:
    for start in range(0, rows, CHUNK):
        yield np.arange(start, min(start + CHUNK, rows))
