"""How the order-book net learns: first its line, then its trunk, then how far the trunk is to be trusted.

Few minutes of a day are independent, and a deep net finds patterns in all of them. So the line is fitted first, by
ridge regression that leaves the imbalance free; the trunk learns only what the line leaves over, its weights are
averaged along the way, and later rows decide about ridge, epochs and trust.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from markets.values import IntArray
from models_ml.features.book_frames import Tensors
from models_ml.voters.book_net import BookNet, joined
from models_ml.voters.steps import CLIP_NORM
from models_ml.voters.torch_loop import FORGET_MARKET, device

RIDGES = (0.3, 0.1, 0.03, 0.01, 0.003)
OWN = 3.0
"""How much harder an instrument's own deviation is held than the line of all."""
FREE = 1e-4
"""Ridge of the imbalance, so small that it only says which of two equal solutions is meant."""
TRUSTS = (0.0, 0.25, 0.5, 0.75, 1.0)
DECAY = 0.05
AVERAGE = 0.99
"""Share of the averaged weights that a step leaves as they were."""
LINE_STEPS = 60
CHUNK = 4096

OnEpoch = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Lesson:
    """N rows to learn from: tensors when asked for, outcomes (N, H) with −1 where unknown, instrument numbers (N,).

    `leans` names for each horizon a shorter one of which its line starts, None where it stands alone: of a minute few
    are independent, and what moves a price in ten seconds is still there after sixty.
    """

    read: Callable[[IntArray], Tensors]
    labels: NDArray[np.int8]
    numbers: IntArray
    leans: tuple[int | None, ...]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Choices:
    """What the later rows decided, per horizon; fixed when the net learns again with those rows."""

    ridge: tuple[float, ...]
    trust: tuple[float, ...]
    epochs: int


@dataclass(frozen=True, slots=True)
class Pace:
    """Sizes of the loop."""

    epochs: int
    patience: int
    batch: int
    learning_rate: float
    rows: int  # of an epoch, drawn anew each time


@dataclass(frozen=True, slots=True)
class Learned:
    """How a fit went; losses are mean log loss in nats over outcomes and horizons."""

    choices: Choices
    epochs: int
    train_loss: float
    later_loss: float


def learn(net: BookNet, lesson: Lesson, later: Lesson, pace: Pace, *, on_epoch: OnEpoch | None = None) -> Learned:
    """Fit everything, with the choices that `later` makes; the net ends in evaluation mode."""
    summary = _begin(net, lesson)
    ridge = _choose_ridge(net, lesson, summary, later)
    _fit_line(net, lesson, summary, ridge)
    optimizer, average = _optimizer(net, pace), _trunk_of(net)
    best, best_train, kept, since, epoch, chosen = math.inf, math.inf, average, 0, 0, 0
    trust = (0.0,) * net.horizons
    for epoch in range(1, pace.epochs + 1):
        train_loss, average = _epoch(net, lesson, pace, optimizer, average)
        loss, found = _judged(net, later, average)
        if on_epoch:
            on_epoch(epoch, pace.epochs)
        if loss < best:
            best, best_train, kept, since, chosen, trust = loss, train_loss, average, 0, epoch, found
        elif (since := since + 1) >= pace.patience:
            break
    _settle(net, kept, trust)
    return Learned(Choices(ridge, trust, chosen), epoch, best_train, best)


def repeat(net: BookNet, lesson: Lesson, choices: Choices, pace: Pace, *, on_epoch: OnEpoch | None = None) -> float:
    """Fit everything again with choices already made; gives the training loss."""
    summary = _begin(net, lesson)
    _fit_line(net, lesson, summary, choices.ridge)
    optimizer, average, loss = _optimizer(net, pace), _trunk_of(net), math.nan
    for epoch in range(1, choices.epochs + 1):
        loss, average = _epoch(net, lesson, pace, optimizer, average)
        if on_epoch:
            on_epoch(epoch, choices.epochs)
    _settle(net, average, choices.trust)
    return loss


def logits(net: BookNet, lesson: Lesson) -> NDArray[np.float64]:
    """Logits (N, H, 3) of a finished net."""
    out = np.zeros((len(lesson), net.horizons, 3))
    net.eval()
    with torch.inference_mode():
        for rows in _chunks(len(lesson)):
            out[rows] = net.every(*_inputs(lesson, rows)).double().cpu().numpy()
    return out


def _inputs(lesson: Lesson, rows: IntArray) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    heat, path, summary = (torch.from_numpy(part).to(device()) for part in lesson.read(rows))
    return heat, path, summary, torch.from_numpy(lesson.numbers[rows]).to(device())


def _chunks(rows: int) -> list[IntArray]:
    return np.array_split(np.arange(rows), max(math.ceil(rows / CHUNK), 1))


def _summaries(lesson: Lesson) -> Tensor:
    return torch.from_numpy(np.concatenate([lesson.read(rows)[2] for rows in _chunks(len(lesson))])).to(device())


def _begin(net: BookNet, lesson: Lesson) -> Tensor:
    """Base rates and scale of the net; gives the sums of all rows."""
    net.set_prior(lesson.labels)
    summary = _summaries(lesson)
    with torch.no_grad():
        net.scale.copy_(summary.square().mean(dim=0).sqrt().clamp(min=1e-3))
    return summary


def _choose_ridge(net: BookNet, lesson: Lesson, summary: Tensor, later: Lesson) -> tuple[float, ...]:
    seen, numbers = _summaries(later), torch.from_numpy(later.numbers).to(device())
    labels = torch.from_numpy(later.labels).to(device())
    losses = np.zeros((len(RIDGES), net.horizons))
    for place, ridge in enumerate(RIDGES):
        _fit_line(net, lesson, summary, (ridge,) * net.horizons)
        with torch.no_grad():
            losses[place] = _line_losses(net.straight(seen, numbers), labels).cpu().numpy()
    return tuple(RIDGES[place] for place in losses.argmin(axis=0))


def _fit_line(net: BookNet, lesson: Lesson, summary: Tensor, ridge: tuple[float, ...]) -> None:
    """The horizons that stand alone, then those that start from one of them."""
    alone = [horizon for horizon, source in enumerate(lesson.leans) if source is None]
    rest = [horizon for horizon, source in enumerate(lesson.leans) if source is not None]
    sources = [source for source in lesson.leans if source is not None]
    with torch.no_grad():
        net.line.zero_()
        net.own.zero_()
    _ridge(net, lesson, summary, ridge, alone, alone)  # of nothing, so far
    if rest:
        _ridge(net, lesson, summary, ridge, rest, sources)


def _ridge(
    net: BookNet, lesson: Lesson, summary: Tensor, ridge: tuple[float, ...], fitted: list[int], sources: list[int]
) -> None:
    """Convex: logistic regression of up against down, ties left out; weights are held to a multiple of the source's.

    The multiple and the imbalance, of each instrument, are free: held hard, the line is the logistic of the imbalance.
    A horizon that starts from another reads the instrument's own sums only: over a minute those of the market told
    something on one training day and the contrary on the other.
    """
    market = torch.from_numpy(lesson.numbers).to(device())
    line, own = net.line.detach()[sources].clone(), net.own.detach()[:, sources].clone()
    share = torch.ones(len(fitted), 1, device=device(), requires_grad=True)
    apart, each = torch.zeros_like(line, requires_grad=True), torch.zeros_like(own, requires_grad=True)
    held = torch.tensor(ridge, device=device())[fitted, None] * torch.ones_like(line)
    held[:, 0] = FREE
    read = torch.ones_like(net.alone) if fitted == sources else net.alone
    labels = torch.from_numpy(lesson.labels).to(device())[:, fitted]
    optimizer = torch.optim.LBFGS([share, apart, each], max_iter=LINE_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        score = net.scored(summary, market, read * (share * line + apart), read * (share * own + each))
        loss = _line_losses(score, labels).sum()
        loss = loss + (held * apart.square()).sum() + OWN * (held * each.square()).sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    with torch.no_grad():
        net.line[fitted] = read * (share * line + apart)
        net.own[:, fitted] = read * (share * own + each)


def _line_losses(score: Tensor, labels: Tensor) -> Tensor:
    """Mean loss of each column (H,) over its moved rows."""
    moved = (labels == 0) | (labels == 2)
    losses = functional.softplus(torch.where(labels == 2, -score, score))
    return (losses * moved).sum(dim=0) / moved.sum(dim=0).clamp(min=1)


def _optimizer(net: BookNet, pace: Pace) -> torch.optim.Optimizer:
    trunk = [part for name, part in net.named_parameters() if name not in {"line", "own"}]
    return torch.optim.AdamW(trunk, lr=pace.learning_rate, weight_decay=DECAY)


def _trunk_of(net: BookNet) -> dict[str, Tensor]:
    return {name: part.detach().clone() for name, part in net.named_parameters() if name not in {"line", "own"}}


def _epoch(
    net: BookNet, lesson: Lesson, pace: Pace, optimizer: torch.optim.Optimizer, average: dict[str, Tensor]
) -> tuple[float, dict[str, Tensor]]:
    net.train()
    order = torch.randperm(len(lesson)).numpy()[: pace.rows]
    total, trunk = 0.0, dict(net.named_parameters())
    with torch.no_grad():
        net.trust.fill_(1.0)
    for rows in np.array_split(order, math.ceil(len(order) / pace.batch)):
        heat, path, summary, numbers = _inputs(lesson, rows)
        numbers = torch.where(torch.rand(len(rows), device=numbers.device) < FORGET_MARKET, 0, numbers)
        said = joined(net.straight(summary, numbers).detach(), net.deep(heat, path, summary, numbers), net.trust)
        loss = _mean_loss(said, torch.from_numpy(lesson.labels[rows]).to(device())).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_([part for name, part in trunk.items() if name in average], CLIP_NORM)
        optimizer.step()
        average = {name: old.lerp(trunk[name].detach(), 1 - AVERAGE) for name, old in average.items()}
        total += float(loss.detach()) * len(rows)
    return total / len(order), average


def _mean_loss(said: Tensor, labels: Tensor) -> Tensor:
    """Mean log loss of each horizon (H,) over the outcomes that are known."""
    known = labels >= 0
    losses = functional.cross_entropy(said.permute(0, 2, 1), labels.clamp(min=0).long(), reduction="none")
    return (losses * known).sum(dim=0) / known.sum(dim=0).clamp(min=1)


def _judged(net: BookNet, later: Lesson, average: dict[str, Tensor]) -> tuple[float, tuple[float, ...]]:
    """Log loss on later rows with the best trust of each horizon, and that trust."""
    weights = _trunk_of(net)
    _load(net, average)
    net.eval()
    straight, deep = [], []
    with torch.inference_mode():
        for rows in _chunks(len(later)):
            heat, path, summary, numbers = _inputs(later, rows)
            straight.append(net.straight(summary, numbers))
            deep.append(net.deep(heat, path, summary, numbers))
        line, rest = torch.cat(straight), torch.cat(deep)
        labels = torch.from_numpy(later.labels).to(device())
        each = torch.stack(
            [_mean_loss(joined(line, rest, trust * torch.ones_like(net.trust)), labels) for trust in TRUSTS]
        )
    _load(net, weights)
    best = each.min(dim=0)
    return float(best.values.mean()), tuple(TRUSTS[place] for place in best.indices.tolist())


def _load(net: BookNet, weights: dict[str, Tensor]) -> None:
    net.load_state_dict(weights, strict=False)


def _settle(net: BookNet, trunk: dict[str, Tensor], trust: tuple[float, ...]) -> None:
    _load(net, trunk)
    with torch.no_grad():
        net.trust.copy_(torch.tensor(trust))
    net.eval()
