"""Voter 2: a GRU over price action, volume and volatility alone: short-term momentum and reversal."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from markets.values import IntArray
from models_ml.profiles import Profile
from models_ml.samples import Samples
from models_ml.voters.sequences import CHANNELS, CONTEXT, CandleView, context, describe, readable, upside_down
from models_ml.voters.torch_loop import MARKET_WIDTH, Arrays, Net, NetVoter


class Gru(Net):
    """(B, L, C) candles → (B, 3) logits."""

    def __init__(self, width: int, layers: int, markets: int) -> None:
        super().__init__()
        self.memory = nn.GRU(CHANNELS, width, layers, batch_first=True, dropout=0.1 if layers > 1 else 0.0)
        self.market = nn.Embedding(markets, MARKET_WIDTH)
        self.mix = nn.Linear(width + CONTEXT + MARKET_WIDTH, 32)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(32, 3)

    def forward(self, candles: Tensor, around: Tensor, market: Tensor) -> Tensor:
        """Logits of down, neutral, up."""
        last = self.memory(candles)[0][:, -1]  # (B, width)
        seen = torch.cat([last, around, self.market(market)], dim=1)
        logits: Tensor = self.head(self.drop(functional.relu(self.mix(seen))))
        return logits


class _View:
    def __init__(self, samples: Samples, length: int) -> None:
        self.samples = samples
        self.candles = CandleView(samples, 1, length)

    def read(self, rows: IntArray) -> tuple[Arrays, NDArray[np.bool_]]:
        candles = self.candles.cut(rows)
        channels, volatility, missing = describe(candles)
        return (channels, context(self.samples, rows, volatility)), readable(candles, missing)

    def mirror(self, inputs: Arrays) -> Arrays:
        channels, around = inputs
        return upside_down(channels), around


class GruVoter(NetVoter):
    """2 × 128 units (`standard`)."""

    key = "gru"

    def design(self, profile: Profile, train: Samples) -> dict[str, Any]:
        """See `NetVoter.design`."""
        return {"width": profile.gru_width, "layers": profile.gru_layers, "window": profile.gru_window}

    def build(self, shape: dict[str, Any], markets: int) -> Gru:
        """See `NetVoter.build`."""
        return Gru(shape["width"], shape["layers"], markets)

    def view(self, samples: Samples) -> _View:
        """See `NetVoter.view`."""
        return _View(samples, self.shape["window"])
