"""Voter 3: one attention encoder per timeframe (1m, 5m, 15m, 1h), then attention across the four."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from markets.values import FloatArray, IntArray
from models_ml.profiles import Profile
from models_ml.samples import Samples
from models_ml.voters.nets import MARKET_WIDTH, LeanNet
from models_ml.voters.sequences import CHANNELS, CONTEXT, CandleView, context, describe, readable, upside_down
from models_ml.voters.torch_loop import Arrays, NetVoter

HEADS = 8
FRAMES = ((1, 60), (5, 36), (15, 24), (60, 16))
"""(minutes, candles): an hour, three hours, six hours, sixteen hours. 60 · (16 + 1) + 59 minutes are read at most."""
NEAR, PRICES = 10, 8
"""Candles and channels of each timeframe in the linear part: those that are made of prices."""


class Block(nn.Module):
    """Pre-norm self-attention and a two-layer perceptron, (B, L, D) → (B, L, D)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.after = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """One residual block."""
        batch, length, width = x.shape
        split = self.query_key_value(self.before(x)).view(batch, length, 3, HEADS, width // HEADS)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each (B, H, L, D / H)
        seen = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2)  # (B, L, H, D / H)
        x = x + self.drop(self.out(seen.reshape(batch, length, width)))
        out: Tensor = x + self.drop(self.down(functional.gelu(self.up(self.after(x)))))
        return out


class Encoder(nn.Module):
    """Candles of one timeframe to one summary, (B, L, C) → (B, D)."""

    def __init__(self, length: int, width: int, layers: int) -> None:
        super().__init__()
        self.enter = nn.Linear(CHANNELS, width)
        self.place = nn.Parameter(0.02 * torch.randn(length, width))
        self.blocks = nn.Sequential(*(Block(width) for _ in range(layers)))

    def forward(self, candles: Tensor) -> Tensor:
        """The state at the last candle."""
        summary: Tensor = self.blocks(self.enter(candles) + self.place)[:, -1]
        return summary


class Transformer(LeanNet):
    """Four (B, L, C) sequences → own and shared move, tie."""

    def __init__(self, width: int, layers: int, markets: int) -> None:
        super().__init__(64, len(FRAMES) * NEAR * PRICES)
        self.encoders = nn.ModuleList(Encoder(length, width, layers) for _, length in FRAMES)
        self.frame = nn.Parameter(0.02 * torch.randn(len(FRAMES), width))
        self.across = Block(width)
        self.market = nn.Embedding(markets, MARKET_WIDTH)
        self.mix = nn.Linear(len(FRAMES) * width + CONTEXT + MARKET_WIDTH, 64)
        self.drop = nn.Dropout(0.2)

    def see(self, *inputs: Tensor) -> Tensor:
        """(B, 64) of the four sequences, the context and the instrument's number."""
        *frames, around, market = inputs
        summaries = [encode(frame) for encode, frame in zip(self.encoders, frames, strict=True)]
        x = self.across(torch.stack(summaries, dim=1) + self.frame)  # (B, 4, D)
        seen = torch.cat([x.flatten(1), around, self.market(market)], dim=1)
        out: Tensor = self.drop(functional.relu(self.mix(seen)))
        return out

    def straight(self, *inputs: Tensor) -> Tensor:
        """The price channels of the last candles of each timeframe, (B, 4 · NEAR · PRICES)."""
        frames = inputs[: len(FRAMES)]
        return torch.cat([frame[:, -NEAR:, :PRICES].flatten(1) for frame in frames], dim=1)


class _View:
    def __init__(self, samples: Samples) -> None:
        self.samples = samples
        self.frames = [CandleView(samples, minutes, length) for minutes, length in FRAMES]

    def read(self, rows: IntArray) -> tuple[Arrays, NDArray[np.bool_]]:
        """The minutes must be known; a higher timeframe that has not begun is all "missing", which is an input too."""
        minute: FloatArray = self.frames[0].cut(rows)
        channels, volatility, missing = describe(minute)
        higher = [describe(frame.cut(rows))[0] for frame in self.frames[1:]]
        return (channels, *higher, context(self.samples, rows, volatility)), readable(minute, missing)

    def mirror(self, inputs: Arrays) -> Arrays:
        *frames, around = inputs
        return (*(upside_down(frame) for frame in frames), around)


class TransformerVoter(NetVoter):
    """8 heads, two blocks a timeframe (`standard`)."""

    key = "transformer"

    def design(self, profile: Profile, train: Samples) -> dict[str, Any]:
        """See `NetVoter.design`."""
        return {"width": profile.transformer_width, "layers": profile.transformer_layers}

    def build(self, shape: dict[str, Any], markets: int) -> Transformer:
        """See `NetVoter.build`."""
        return Transformer(shape["width"], shape["layers"], markets)

    def view(self, samples: Samples) -> _View:
        """See `NetVoter.view`."""
        return _View(samples)
