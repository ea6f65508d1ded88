"""Voter 1: an LSTM over the price sequence, with the engineered features of the last minute at its head."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from markets.values import IntArray
from models_ml.profiles import Profile
from models_ml.samples import Samples
from models_ml.voters.base import NotEnoughData, columns_of, readable_rows, usable_columns
from models_ml.voters.sequences import CHANNELS, CLIP, CONTEXT, CandleView, context, describe, readable, upside_down
from models_ml.voters.torch_loop import MARKET_WIDTH, Arrays, Net, NetVoter

FEATURE_WIDTH = 64
GROUPS = ("structure", "trend", "statistics", "multi_timeframe")
"""The indicators at its head: trend and level over several timeframes."""


class Lstm(Net):
    """(B, L, C) candles and (B, F) features → (B, 3) logits."""

    centre: Tensor
    scale: Tensor

    def __init__(self, width: int, layers: int, features: int, markets: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.memory = nn.LSTM(CHANNELS, width, layers, batch_first=True, dropout=0.1 if layers > 1 else 0.0)
        self.indicators = nn.Linear(features, FEATURE_WIDTH)
        self.market = nn.Embedding(markets, MARKET_WIDTH)
        self.mix = nn.Linear(width + FEATURE_WIDTH + CONTEXT + MARKET_WIDTH, 64)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(64, 3)

    def forward(self, candles: Tensor, features: Tensor, around: Tensor, market: Tensor) -> Tensor:
        """Logits of down, neutral, up."""
        last = self.memory(candles)[0][:, -1]  # (B, width)
        scaled = ((features - self.centre) / self.scale).clamp(-CLIP, CLIP).nan_to_num()  # (B, F), unknown = mean
        indicators = functional.relu(self.indicators(scaled))  # (B, 64)
        seen = torch.cat([last, indicators, around, self.market(market)], dim=1)
        logits: Tensor = self.head(self.drop(functional.relu(self.mix(seen))))
        return logits


class _View:
    def __init__(self, samples: Samples, length: int, chosen: IntArray) -> None:
        self.samples, self.chosen = samples, chosen
        self.candles = CandleView(samples, 1, length)

    def read(self, rows: IntArray) -> tuple[Arrays, NDArray[np.bool_]]:
        candles = self.candles.cut(rows)
        channels, volatility, missing = describe(candles)
        features = self.samples.pick(rows).matrix(self.chosen)
        known = readable(candles, missing) & readable_rows(features)
        return (channels, features, context(self.samples, rows, volatility)), known

    def mirror(self, inputs: Arrays) -> Arrays:
        """The features know no mirror: a mirrored row is learned from its candles alone."""
        channels, features, around = inputs
        return upside_down(channels), np.full_like(features, np.nan), around


class LstmVoter(NetVoter):
    """3 × 256 units (`standard`)."""

    key = "lstm"

    def design(self, profile: Profile, train: Samples) -> dict[str, Any]:
        """See `NetVoter.design`."""
        chosen = usable_columns(train, columns_of(self.columns, GROUPS))
        if not len(chosen):
            raise NotEnoughData(f"voter {self.key!r}: no feature column is known: load more candles")
        sizes = {"width": profile.lstm_width, "layers": profile.lstm_layers, "window": profile.lstm_window}
        return sizes | {"chosen": chosen.tolist()}

    def build(self, shape: dict[str, Any], markets: int) -> Lstm:
        """See `NetVoter.build`."""
        return Lstm(shape["width"], shape["layers"], len(shape["chosen"]), markets)

    def view(self, samples: Samples) -> _View:
        """See `NetVoter.view`."""
        return _View(samples, self.shape["window"], np.array(self.shape["chosen"]))

    def prepare(self, train: Samples) -> None:
        """Centre and scale the features by the training rows."""
        features = train.matrix(np.array(self.shape["chosen"])).astype(np.float64)
        spread = np.nanstd(features, axis=0)
        self.net.get_buffer("centre").copy_(torch.from_numpy(np.nanmean(features, axis=0)))
        self.net.get_buffer("scale").copy_(torch.from_numpy(np.where(spread > 0, spread, 1.0)))
