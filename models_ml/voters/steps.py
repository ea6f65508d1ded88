"""How a net's weights move: a rising and falling pace, bounded gradients, and the average that is kept."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

CLIP_NORM = 1.0
WARM = 0.05
"""Share of the steps over which the learning rate rises before it falls along a cosine."""
MEMORY = 0.99
"""How much of the averaged weights a step keeps: what is judged and kept is the average, not the last noisy step."""


def pace(step: int, total: int) -> float:
    """Factor of the learning rate: a short rise, then half a cosine down to 0."""
    rise = max(WARM * total, 1.0)
    return min((step + 1) / rise, 1.0) * (1 + math.cos(math.pi * min(step / max(total, 1), 1.0))) / 2


class Average:
    """An exponential mean of the weights over the steps."""

    def __init__(self, net: nn.Module) -> None:
        self.steps = 0
        self.weights = {name: part.detach().clone() for name, part in net.state_dict().items()}

    def take(self, net: nn.Module) -> None:
        """One step more; the first ones count fully, so that the start is soon forgotten."""
        self.steps += 1
        share = max(1 - MEMORY, 9 / (self.steps + 9))
        for name, part in net.state_dict().items():
            if part.is_floating_point():
                self.weights[name].lerp_(part, share)
            else:
                self.weights[name].copy_(part)


@dataclass(frozen=True, slots=True)
class Mover:
    """What turns a loss into new weights."""

    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    average: Average

    def step(self, net: nn.Module, loss: Tensor) -> None:
        """One step down the gradient of `loss`, and into the average."""
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(net.parameters(), CLIP_NORM)
        self.optimizer.step()
        self.schedule.step()
        self.average.take(net)
