"""What the next minute was worth to learn from: its size beside its sign, and how much of it everybody shared.

A sign throws away how far a minute went, and a minute that went far says more about what drives it than one that
crept. Most of a move is shared by all instruments of a market, and there are far fewer independent minutes than rows to
learn it from: a model that is asked for the own part learns from rows that are nearly independent.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray
from models_ml.features.cross_asset import market_of, size
from models_ml.features.rolling import change
from models_ml.samples import Samples

CLIP = 1.0
"""σ beyond which a move counts no more: news teaches nothing about a quiet minute."""
FURTHEST = 3.0
"""σ at which a single move enters the mean of a market."""
SCARCE = 1e-6
"""Least share of rises and falls that is made up for."""
STEEPEST = 2.0
"""Largest slope on the market that is believed."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Open-to-close moves of the next minute, in σ of 60 returns before it, clipped; NaN where unknown. (N,) each.

    `own` is what is left of the move without the others, `shared` slope × mean move of the others in that minute. With
    fewer than two others all of it is `own`.
    """

    own: FloatArray
    shared: FloatArray


def even_weights(up: NDArray[np.bool_]) -> FloatArray:
    """Weights (N,) by which rises and falls count the same: the drift of the days learned from is no forecast."""
    share = float(np.clip(up.mean(), SCARCE, 1 - SCARCE)) if len(up) else 0.5
    return np.where(up, 0.5 / share, 0.5 / (1 - share))


def targets(samples: Samples) -> Targets:
    """The targets of every row of `samples`; the slope and σ are those known at the decision."""
    opened, close = samples.ohlcv[..., 0], samples.ohlcv[..., 3]
    market = market_of(samples.ohlcv, dollar=samples.dollar)
    move = np.full(close.shape, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma = size(change(np.log(close)))[:, :-1]
        later = np.log(close[:, 1:] / opened[:, 1:]) / sigma
        move[:, :-1] = np.where((np.diff(samples.open_times) == 60) & (sigma > 0), later, np.nan)
        slope = np.clip(market.slope, -STEEPEST, STEEPEST)
        shared = np.nan_to_num(slope * market.turned(np.clip(move, -FURTHEST, FURTHEST)))
    places = samples.index[:, 0], samples.index[:, 1]
    return Targets(np.clip((move - shared)[places], -CLIP, CLIP), np.clip(shared[places], -CLIP, CLIP))
