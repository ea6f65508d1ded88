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
from models_ml.voters.base import CROSS_GROUP, NotEnoughData, columns_of, core_columns, readable_rows, usable_columns
from models_ml.voters.nets import FAR, MARKET_WIDTH, LeanNet
from models_ml.voters.sequences import CHANNELS, CONTEXT, CandleView, context, describe, readable, upside_down
from models_ml.voters.torch_loop import Arrays, NetVoter

FEATURE_WIDTH = 64
GROUPS = ("structure", "trend", "statistics", "multi_timeframe", "footing", CROSS_GROUP)
"""The indicators at its head: trend and level over several timeframes, and what the others do."""

LINE_GROUPS = ("footing", "structure")
"""The linear part of this voter: what it says of an instrument by itself."""


class Lstm(LeanNet):
    """(B, L, C) candles and (B, F) features → own and shared move, tie."""

    middle: Tensor
    spread: Tensor
    ruled: Tensor

    def __init__(self, shape: dict[str, Any], markets: int) -> None:
        width, layers, features = shape["width"], shape["layers"], len(shape["chosen"])
        super().__init__(64, len(shape["ruled"]))
        self.register_buffer("middle", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))
        self.register_buffer("ruled", torch.tensor(shape["ruled"], dtype=torch.int64))
        self.memory = nn.LSTM(CHANNELS, width, layers, batch_first=True, dropout=0.1 if layers > 1 else 0.0)
        self.indicators = nn.Linear(features, FEATURE_WIDTH)
        self.market = nn.Embedding(markets, MARKET_WIDTH)
        self.mix = nn.Linear(width + FEATURE_WIDTH + CONTEXT + MARKET_WIDTH, 64)
        self.drop = nn.Dropout(0.2)

    def see(self, *inputs: Tensor) -> Tensor:
        """(B, 64) of the sequence, the features, the context and the instrument's number."""
        candles, features, around, market = inputs
        last = self.memory(candles)[0][:, -1]  # (B, width)
        scaled = ((features - self.middle) / self.spread).clamp(-FAR, FAR).nan_to_num()  # (B, F), unknown = mean
        indicators = functional.relu(self.indicators(scaled))  # (B, 64)
        seen = torch.cat([last, indicators, around, self.market(market)], dim=1)
        out: Tensor = self.drop(functional.relu(self.mix(seen)))
        return out

    def straight(self, *inputs: Tensor) -> Tensor:
        """The features of `LINE_GROUPS`, (B, R)."""
        return inputs[1][:, self.ruled]


class _View:
    def __init__(self, samples: Samples, length: int, chosen: IntArray, core: IntArray) -> None:
        self.samples, self.chosen = samples, chosen
        self.core = np.flatnonzero(np.isin(chosen, core))
        self.candles = CandleView(samples, 1, length)

    def read(self, rows: IntArray) -> tuple[Arrays, NDArray[np.bool_]]:
        candles = self.candles.cut(rows)
        channels, volatility, missing = describe(candles)
        features = self.samples.pick(rows).matrix(self.chosen)
        known = readable(candles, missing) & readable_rows(features[:, self.core], features)
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
        ruled = np.flatnonzero(np.isin(chosen, columns_of(self.columns, LINE_GROUPS)))
        core = core_columns(train, chosen, self.columns)
        return sizes | {"chosen": chosen.tolist(), "ruled": ruled.tolist(), "core": core.tolist()}

    def build(self, shape: dict[str, Any], markets: int) -> Lstm:
        """See `NetVoter.build`."""
        return Lstm(shape, markets)

    def view(self, samples: Samples) -> _View:
        """See `NetVoter.view`."""
        chosen, core = (np.array(self.shape[name], dtype=np.int64) for name in ("chosen", "core"))
        return _View(samples, self.shape["window"], chosen, core)

    def prepare(self, train: Samples) -> None:
        """Centre and scale the features."""
        features = train.matrix(np.array(self.shape["chosen"])).astype(np.float64)
        spread = np.nanstd(features, axis=0)
        self.net.get_buffer("middle").copy_(torch.from_numpy(np.nanmean(features, axis=0)))
        self.net.get_buffer("spread").copy_(torch.from_numpy(np.where(spread > 0, spread, 1.0)))
