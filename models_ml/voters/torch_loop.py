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
from torch import Tensor, nn
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
from models_ml.voters.leaning import USUAL, slope_of
from models_ml.voters.linear import Linear
from models_ml.voters.steps import Average, Mover, pace

CHUNK = 256
"""Rows per forward pass outside training: what stays in the cache of a core is faster than a long batch."""
WEIGHT_DECAY = 0.01
FORGET_MARKET = 0.05
"""Share of training rows shown as the unknown instrument, so that number 0 means something to the net."""
MARKET_WIDTH = 8
GAIN = 0.1
"""What a net's last layer is multiplied with before it joins its linear part: steps are large against the signal."""
FAR = 5.0
"""Standard deviations at which the inputs of the linear part are clipped."""
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


class Net(nn.Module):
    """A net whose last layer is `head`, a linear map to the logits of (down, neutral, up)."""

    head: nn.Linear

    def set_prior(self, labels: NDArray[np.int8]) -> None:
        """Start at the base rates: the rare tie then needs no class weights, which would bend the probabilities."""
        tie = (np.count_nonzero(labels == 1) + 1.0) / (len(labels) + 3.0)
        shares = np.array([(1 - tie) / 2, tie, (1 - tie) / 2])
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.copy_(torch.tensor(np.log(shares), dtype=torch.float32))


class LeanNet(Net):
    """A net that says how far the next minute goes: own and shared part of the move, and the odds of a tie.

    It starts as a ridge regression on the inputs that `straight` picks and learns what that leaves over: the signal is
    small and mostly straight, and a net that had to find the line by gradient steps would drown it in their noise.
    Its `head` gives (own, tie, shared).
    """

    centre: Tensor
    scale: Tensor
    line: Tensor
    slope: Tensor

    def __init__(self, width: int, straight: int) -> None:
        super().__init__()
        self.head = nn.Linear(width, 3)
        self.register_buffer("centre", torch.zeros(straight))
        self.register_buffer("scale", torch.ones(straight))
        self.register_buffer("line", torch.zeros(2, straight))
        self.register_buffer("slope", torch.tensor(USUAL))

    @abstractmethod
    def see(self, *inputs: Tensor) -> Tensor:
        """What the net makes of its inputs and the instrument's number, (B, width)."""

    @abstractmethod
    def straight(self, *inputs: Tensor) -> Tensor:
        """The inputs of its linear part, (B, F), unknown ones NaN."""

    def set_prior(self, labels: NDArray[np.int8]) -> None:
        """Start as the linear part alone, with ties at their base rate."""
        tie = (np.count_nonzero(labels == 1) + 1.0) / (len(labels) + 3.0)
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.bias.copy_(torch.tensor([0.0, math.log(2 * tie / (1 - tie)), 0.0]))

    def draw_line(self, line: Linear) -> None:
        """Take over a linear start whose outputs are the own and the shared part."""
        self.centre.copy_(torch.from_numpy(line.centre))
        self.scale.copy_(torch.from_numpy(line.scale))
        self.line.copy_(torch.from_numpy(line.weights))

    def settle(self, slope: float) -> None:
        """Take the slope from expected move to log-odds."""
        self.slope.fill_(slope)

    def parts(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Expected own and shared move (B, 2), σ, and log-odds of a tie against one side (B,).

        A net whose start was best has learned nothing beyond its line, and is not asked.
        """
        asked = self.training or bool(self.head.weight.any())
        said = self.head(self.see(*inputs)) if asked else self.head.bias.expand(len(inputs[-1]), -1)
        scaled = ((self.straight(*inputs) - self.centre) / self.scale).clamp(-FAR, FAR).nan_to_num()
        moves = scaled @ self.line.T + GAIN * said[:, [0, 2]]
        return moves, said[:, 1]

    def lean(self, *inputs: Tensor) -> Tensor:
        """Expected move (B,), σ."""
        return self.parts(*inputs)[0].sum(dim=1)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits of down, neutral, up."""
        moves, tie = self.parts(*inputs)
        half = self.slope * moves.sum(dim=1) / 2
        return torch.stack([-half, tie, half], dim=1)

    def errors(self, inputs: tuple[Tensor, ...], market: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
        """Squared error of both parts of the move (B,), 0 where it is unknown, and log-odds of the tie (B,)."""
        moves, tie = self.parts(*inputs, market)
        known = torch.isfinite(goal).all(dim=1)
        return ((moves - goal.nan_to_num()) ** 2).sum(dim=1) * known, tie

    def loss(self, inputs: tuple[Tensor, ...], market: Tensor, outcomes: Tensor, goal: Tensor) -> Tensor:
        """Mean of a batch: squared error of both parts of the move, and cross-entropy of the tie.

        Inputs as the view gives them, outcomes (B,) 0..2, goal (B, 2) of `targets`.
        """
        wrong, tie = self.errors(inputs, market, goal)
        apart = wrong.sum() / torch.isfinite(goal).all(dim=1).sum().clamp(min=1)
        tied = functional.binary_cross_entropy_with_logits(tie - math.log(2), (outcomes == 1).float())
        return apart + tied


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
        if not isinstance(self.net, LeanNet) or not self.net.line.shape[1]:
            return
        net, share = self.net, SCALE_ROWS // len(parts)
        sample = [rows for part in parts for rows, _ in self._straight(net, thin(part, share, 0))]
        start = Linear.scaled(np.concatenate(sample))
        blocks = (block for part in parts for block in self._straight(net, part))
        net.draw_line(start.fitted(blocks, (1.0, float(len(parts[0].market)))))

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
        train = thin(train, profile.max_rows, seed)
        self.shape = self.design(profile, train)
        train, labels = self._learnable(train)
        validation, held = self._learnable(thin(validation, max(profile.max_rows // 2, 1), seed))
        needed = self.rows_needed(profile)
        if len(labels) < needed or not len(held):
            raise NotEnoughData(
                f"voter {self.key!r}: {len(labels)} training and {len(held)} validation rows can be read, "
                f"{needed} and 1 are needed: load more history"
            )
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
