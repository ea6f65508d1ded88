"""The net of the order-book voter: convolutions over the book, an LSTM over its time, and a straight line past both.

Bids and asks are interchangeable: the net reads the frames and their mirror image and keeps of its answer what
changes sides with them, so that up of a book is exactly down of its mirror. The line from the summary to the score
starts as the logistic of the queue imbalance; the deep part adds what it can show on later rows, no more.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models_ml.features.book_frames import EVEN, INKS, ODD, PATH, SUMMARIES
from models_ml.voters.nets import MARKET_WIDTH, Net

POOL = 4
"""Levels that one convolution spans, where the book is that deep."""
MIXED = 32


class BookNet(Net):
    """Heat (B, 4, K, L), path (B, K, C), sums (B, S) and instrument number (B,) → logits (B, 3) per horizon.

    `reads` names the sums, all of which turn their sign in the mirror.

    The first horizon is the one that votes; the others share the trunk and keep it from fitting noise.
    """

    scale: Tensor
    trust: Tensor
    alone: Tensor
    """1 for the sums of the instrument itself, 0 for those of the market, (S,)."""
    _sign: Tensor

    def __init__(
        self, channels: int, width: int, markets: int, levels: int, horizons: int, reads: tuple[str, ...] = SUMMARIES
    ) -> None:
        super().__init__()
        self.horizons = horizons
        span = min(POOL, levels)
        self.eye = nn.Sequential(
            nn.Conv2d(INKS, channels, (1, span), stride=(1, span)),
            nn.ReLU(),
            nn.Conv2d(channels, channels, (3, 1), padding=(1, 0)),
            nn.ReLU(),
        )
        self.memory = nn.LSTM(channels * (levels // span) + len(PATH), width, batch_first=True)
        self.market = nn.Embedding(markets, MARKET_WIDTH)
        self.mix = nn.Linear(width + MARKET_WIDTH + len(reads), MIXED)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(MIXED, 3 * horizons)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
        self.line = nn.Parameter(torch.zeros(horizons, len(reads)))
        self.own = nn.Parameter(torch.zeros(markets, horizons, len(reads)))
        self.register_buffer("scale", torch.ones(len(reads)))
        self.register_buffer("trust", torch.ones(horizons))
        alone = torch.tensor([float(not name.startswith("market_")) for name in reads])
        self.register_buffer("alone", alone, persistent=False)
        sign = torch.tensor([-1.0] * len(ODD) + [1.0] * len(EVEN))
        self.register_buffer("_sign", sign, persistent=False)

    def set_prior(self, labels: NDArray[np.int8]) -> None:
        """Start at the base rates of each horizon, labels (N, H) or (N,) for all, −1 where unknown."""
        logs = np.log([_shares(column[column >= 0]) for column in labels.reshape(len(labels), -1).T])
        with torch.no_grad():
            rates = torch.tensor(np.broadcast_to(logs, (self.horizons, 3)).copy(), dtype=torch.float32)
            self.head.bias.copy_(rates.reshape(-1))

    def forward(self, heat: Tensor, path: Tensor, summary: Tensor, market: Tensor) -> Tensor:
        """Logits of down, neutral, up over the horizon that votes."""
        return self.every(heat, path, summary, market)[:, 0]

    def every(self, heat: Tensor, path: Tensor, summary: Tensor, market: Tensor) -> Tensor:
        """Logits of all horizons (B, H, 3)."""
        parts = self.deep(heat, path, summary, market)
        return joined(self.straight(summary, market), parts, self.trust)

    def straight(self, summary: Tensor, market: Tensor) -> Tensor:
        """The line's log-odds of up against down (B, H)."""
        return self.scored(summary, market, self.line, self.own)

    def scored(self, summary: Tensor, market: Tensor, line: Tensor, own: Tensor) -> Tensor:
        """The score (B, H) of a line for all (H, S) and each instrument's deviation from it (markets, H, S)."""
        seen = summary / self.scale
        score: Tensor = seen @ line.T + torch.einsum("bhs,bs->bh", own[market], seen)
        return score

    def deep(self, heat: Tensor, path: Tensor, summary: Tensor, market: Tensor) -> Tensor:
        """The trunk's part of the logits (B, H, 3), which the mirror turns round."""
        both = (
            torch.cat([heat, heat[:, [1, 0, 3, 2]]]),
            torch.cat([path, path * self._sign]),
            torch.cat([summary, -summary]),
            torch.cat([market, market]),
        )
        seen, image = self._trunk(*both).view(2, len(heat), self.horizons, 3)
        mean: Tensor = (seen + image.flip(2)) / 2
        return mean

    def _trunk(self, heat: Tensor, path: Tensor, summary: Tensor, market: Tensor) -> Tensor:
        seen = self.eye(heat).permute(0, 2, 1, 3).flatten(2)  # (B, K, channels · L / span)
        last = self.memory(torch.cat([seen, path], dim=2))[0][:, -1]  # (B, width)
        mixed = self.mix(torch.cat([last, self.market(market), summary], dim=1))
        logits: Tensor = self.head(self.drop(functional.relu(mixed)))
        return logits


def joined(straight: Tensor, deep: Tensor, trust: Tensor) -> Tensor:
    """Logits (B, H, 3) of the line and as much of the trunk's lean as is trusted."""
    lean = straight + trust * (deep[..., 2] - deep[..., 0])
    level = (deep[..., 2] + deep[..., 0]) / 2
    return torch.stack([level - lean / 2, deep[..., 1], level + lean / 2], dim=2)


def _shares(labels: NDArray[np.int8]) -> list[float]:
    tie = (np.count_nonzero(labels == 1) + 1.0) / (len(labels) + 3.0)
    return [(1 - tie) / 2, tie, (1 - tie) / 2]
