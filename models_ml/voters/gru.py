"""Voter 2: a GRU over price action, volume, volatility and what the others did: short-term momentum and reversal."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from markets.values import IntArray
from models_ml.profiles import Profile
from models_ml.samples import Samples
from models_ml.voters.nets import MARKET_WIDTH, LeanNet
from models_ml.voters.sequences import (
    CHANNELS,
    CONTEXT,
    OTHERS,
    CandleView,
    MarketView,
    context,
    describe,
    readable,
    upside_down,
)
from models_ml.voters.torch_loop import Arrays, NetVoter


class Gru(LeanNet):
    """(B, L, C + 2) candles and the others' moves → own and shared move, tie."""

    def __init__(self, width: int, layers: int, window: int, markets: int) -> None:
        super().__init__(32, (CHANNELS + OTHERS) * window)
        self.memory = nn.GRU(CHANNELS + OTHERS, width, layers, batch_first=True, dropout=0.1 if layers > 1 else 0.0)
        self.market = nn.Embedding(markets, MARKET_WIDTH)
        self.mix = nn.Linear(width + CONTEXT + MARKET_WIDTH, 32)
        self.drop = nn.Dropout(0.2)

    def see(self, *inputs: Tensor) -> Tensor:
        """(B, 32) of the sequence, the context and the instrument's number."""
        minutes, around, market = inputs
        last = self.memory(minutes)[0][:, -1]  # (B, width)
        seen = torch.cat([last, around, self.market(market)], dim=1)
        out: Tensor = self.drop(functional.relu(self.mix(seen)))
        return out

    def straight(self, *inputs: Tensor) -> Tensor:
        """The whole window, (B, L · (C + 2))."""
        return inputs[0].flatten(1)


class _View:
    def __init__(self, samples: Samples, length: int) -> None:
        self.samples = samples
        self.candles, self.others = CandleView(samples, 1, length), MarketView(samples, length)

    def read(self, rows: IntArray) -> tuple[Arrays, NDArray[np.bool_]]:
        candles = self.candles.cut(rows)
        channels, volatility, missing = describe(candles)
        others = np.where(missing[..., None], np.float32(0), self.others.cut(rows))
        minutes = np.concatenate([channels, others], axis=2)
        return (minutes, context(self.samples, rows, volatility)), readable(candles, missing)

    def mirror(self, inputs: Arrays) -> Arrays:
        minutes, around = inputs
        return np.concatenate([upside_down(minutes[..., :CHANNELS]), -minutes[..., CHANNELS:]], axis=2), around


class GruVoter(NetVoter):
    """2 × 128 units (`standard`)."""

    key = "gru"

    def design(self, profile: Profile, train: Samples) -> dict[str, Any]:
        """See `NetVoter.design`."""
        return {"width": profile.gru_width, "layers": profile.gru_layers, "window": profile.gru_window}

    def build(self, shape: dict[str, Any], markets: int) -> Gru:
        """See `NetVoter.build`."""
        return Gru(shape["width"], shape["layers"], shape["window"], markets)

    def view(self, samples: Samples) -> _View:
        """See `NetVoter.view`."""
        return _View(samples, self.shape["window"])
