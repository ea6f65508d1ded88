"""The nets of the panel: what every one of them starts from, and those that say how far the next minute goes."""

import math
from abc import abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models_ml.voters.leaning import USUAL
from models_ml.voters.linear import Linear

MARKET_WIDTH = 8
GAIN = 0.1
"""What a net's last layer is multiplied with before it joins its linear part: steps are large against the signal."""
FAR = 5.0
"""Standard deviations at which the inputs of the linear part are clipped."""


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
