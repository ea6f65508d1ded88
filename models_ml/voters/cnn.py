"""Voter 6: a convolutional net that looks at a 64 × 64 picture of the last candles."""

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
from models_ml.voters.sequences import MOST_MISSING, CandleView, whole
from models_ml.voters.torch_loop import Arrays, NetVoter

SIDE = 64
CANDLES = 21
"""Three pixels each: body, body with wick, body; the 64th column stays empty."""
INKS = 3
"""Rising candles, falling candles, volume bars."""
PRICE_ROWS = 48
"""Rows of the price part; the rows below it show volume."""
WICK = 0.5


def draw(candles: FloatArray) -> NDArray[np.float32]:
    """Pictures (n, INKS, SIDE, SIDE) of candles (n, CANDLES, 5); row 0 is the top, a missing candle leaves a hole."""
    known = whole(candles)
    opened, high, low, close = np.where(known[..., None], candles[..., :4], np.nan).transpose(2, 0, 1)
    top = np.nanmax(np.where(known, high, -np.inf), axis=1, initial=-np.inf)[:, None]
    bottom = np.nanmin(np.where(known, low, np.inf), axis=1, initial=np.inf)[:, None]
    span = np.where(top > bottom, top - bottom, 1.0)

    def row(price: FloatArray) -> NDArray[np.int64]:
        place = np.where(known, (top - np.where(known, price, 0.0)) / span, 0.0)
        return np.clip(np.round(place * (PRICE_ROWS - 1)), 0, PRICE_ROWS - 1).astype(np.int64)[:, None, :]

    levels = np.arange(SIDE)[None, :, None]
    wick = (levels >= row(high)) & (levels <= row(low)) & known[:, None, :]
    body = (levels >= row(np.fmax(opened, close))) & (levels <= row(np.fmin(opened, close))) & known[:, None, :]
    rising = (np.nan_to_num(close) >= np.nan_to_num(opened))[:, None, :]
    out = np.zeros((len(candles), INKS, SIDE, CANDLES, 3), dtype=np.float32)
    for ink, side in enumerate((rising, ~rising)):
        out[:, ink, :, :, 1] = WICK * (wick & side)
        out[:, ink][body & side] = 1.0
    out[:, 2] = _bars(candles[..., 4], known)[..., None]
    picture = out.reshape(len(candles), INKS, SIDE, 3 * CANDLES)
    return np.pad(picture, ((0, 0), (0, 0), (0, 0), (0, SIDE - 3 * CANDLES)))


def _bars(volume: FloatArray, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Volume bars (n, SIDE, CANDLES) that stand on the lowest row; the largest fills the rows below the price part."""
    given = np.where(known, np.nan_to_num(volume), 0.0)
    largest = given.max(axis=1, keepdims=True)
    height = np.round(np.divide(given, largest, out=np.zeros_like(given), where=largest > 0) * (SIDE - PRICE_ROWS))
    return np.asarray(np.arange(SIDE)[None, :, None] >= SIDE - height[:, None, :])


class ChartNet(LeanNet):
    """(B, 3, 64, 64) pictures → own and shared move, tie; there is no straight line in a picture."""

    def __init__(self, channels: list[int], markets: int) -> None:
        super().__init__(64, 0)
        layers: list[nn.Module] = []
        for before, after in zip([INKS, *channels[:-1]], channels, strict=True):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.eye = nn.Sequential(*layers)
        rest = SIDE // 2 ** len(channels)
        self.market = nn.Embedding(markets, MARKET_WIDTH)
        self.mix = nn.Linear(channels[-1] * rest * rest + MARKET_WIDTH, 64)
        self.drop = nn.Dropout(0.3)

    def see(self, *inputs: Tensor) -> Tensor:
        """(B, 64) of the picture and the instrument's number."""
        picture, market = inputs
        seen = self.eye(picture).flatten(1)  # (B, C · 4 · 4) with four layers
        out: Tensor = self.drop(functional.relu(self.mix(torch.cat([seen, self.market(market)], dim=1))))
        return out

    def straight(self, *inputs: Tensor) -> Tensor:
        """Nothing, (B, 0)."""
        return inputs[0].new_zeros(len(inputs[0]), 0)


class _View:
    def __init__(self, samples: Samples) -> None:
        self.candles = CandleView(samples, 1, CANDLES - 1)

    def read(self, rows: IntArray) -> tuple[Arrays, NDArray[np.bool_]]:
        candles = self.candles.cut(rows)  # (n, CANDLES, 5)
        missing = ~whole(candles)
        return (draw(candles),), ~missing[:, -1] & (missing.mean(axis=1) <= MOST_MISSING)

    def mirror(self, inputs: Arrays) -> Arrays:
        """Risen and fallen candles change ink and the price part is turned over; volume stays."""
        turned = inputs[0].copy()
        turned[:, :2, :PRICE_ROWS] = inputs[0][:, [1, 0], PRICE_ROWS - 1 :: -1]
        return (turned,)


class ChartVoter(NetVoter):
    """Four strided convolutions (`standard`)."""

    key = "cnn"

    def design(self, profile: Profile, train: Samples) -> dict[str, Any]:
        """See `NetVoter.design`."""
        return {"channels": list(profile.cnn_channels)}

    def build(self, shape: dict[str, Any], markets: int) -> ChartNet:
        """See `NetVoter.build`."""
        return ChartNet(shape["channels"], markets)

    def view(self, samples: Samples) -> _View:
        """See `NetVoter.view`."""
        return _View(samples)
