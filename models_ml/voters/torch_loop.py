"""The one training loop of all nets, and what a net needs around it to be a voter."""

import json
import math
import time
from abc import abstractmethod
from collections.abc import Iterator
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
from models_ml.voters.base import CorruptArtifact, FitReport, NotEnoughData, OnStep, Voter, known_labels, thin

CHUNK = 2048
"""Rows per forward pass outside training: bounds the memory of a long slice."""
WEIGHT_DECAY = 0.01
CLIP_NORM = 1.0
FORGET_MARKET = 0.05
"""Share of training rows shown as the unknown instrument, so that number 0 means something to the net."""
MARKET_WIDTH = 8

Arrays = tuple[NDArray[np.float32], ...]


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
        """Set what the net needs from the training rows before the loop, such as a scaler."""

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
        train = thin(train, profile.max_rows, seed)
        self.shape = self.design(profile, train)
        train, labels = self._learnable(train)
        validation, held = self._learnable(thin(validation, max(profile.max_rows // 4, 1), seed))
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
            steps, train_loss, loss = self._loop(train, labels, validation, held, profile, on_step)
        return FitReport(len(labels), steps, train_loss, loss, time.perf_counter() - started)

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

    def _loop(
        self,
        train: Samples,
        labels: NDArray[np.int8],
        validation: Samples,
        held: NDArray[np.int8],
        profile: Profile,
        on_step: OnStep | None,
    ) -> tuple[int, float, float]:
        """AdamW on cross-entropy of logits; keeps the epoch with the best validation loss. (epochs, losses)."""
        optimizer = torch.optim.AdamW(self.net.parameters(), lr=profile.learning_rate, weight_decay=WEIGHT_DECAY)
        best, best_train, kept, since, epoch = math.inf, math.inf, self._weights(), 0, 0
        for epoch in range(1, profile.epochs + 1):
            train_loss = self._epoch(train, labels, profile.batch, optimizer)
            loss = self._loss(validation, held)
            if on_step:
                on_step(epoch, profile.epochs)
            if loss < best:
                best, best_train, kept, since = loss, train_loss, self._weights(), 0
            elif (since := since + 1) >= profile.patience:
                break
        self.net.load_state_dict(kept)
        self.net.eval()
        return epoch, best_train, best

    def _epoch(self, train: Samples, labels: NDArray[np.int8], batch: int, optimizer: torch.optim.Optimizer) -> float:
        self.net.train()
        view, order, total = self.view(train), torch.randperm(len(labels)).numpy(), 0.0
        for rows in np.array_split(order, math.ceil(len(order) / batch)):
            inputs, outcomes = _half_mirrored(view, view.read(rows)[0], labels[rows])
            numbers = torch.from_numpy(self._numbers(train, rows))
            numbers[torch.rand(len(rows)) < FORGET_MARKET] = 0
            target = torch.from_numpy(outcomes).to(device())
            logits = self.net(*(torch.from_numpy(part).to(device()) for part in inputs), numbers.to(device()))
            loss = functional.cross_entropy(logits, target)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            nn.utils.clip_grad_norm_(self.net.parameters(), CLIP_NORM)
            optimizer.step()
            total += float(loss.detach()) * len(rows)
        return total / len(order)

    def _loss(self, samples: Samples, labels: NDArray[np.int8]) -> float:
        chosen = self.predict(samples)[np.arange(len(labels)), labels.astype(np.int64)]
        return float(-np.log(np.maximum(chosen, 1e-12)).mean())

    def _weights(self) -> dict[str, Tensor]:
        return {name: part.detach().clone() for name, part in self.net.state_dict().items()}


def _half_mirrored(view: View, inputs: Arrays, labels: NDArray[np.int8]) -> tuple[Arrays, IntArray]:
    """Inputs and outcomes with every other row of the shuffled batch upside down."""
    flip = np.arange(len(labels)) % 2 == 1
    mixed = tuple(
        np.where(flip.reshape(-1, *[1] * (part.ndim - 1)), turned, part)
        for part, turned in zip(inputs, view.mirror(inputs), strict=True)
    )
    return mixed, np.where(flip, 2 - labels, labels).astype(np.int64)


def device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _chunks(rows: int) -> Iterator[IntArray]:
    for start in range(0, rows, CHUNK):
        yield np.arange(start, min(start + CHUNK, rows))
