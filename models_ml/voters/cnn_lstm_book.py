"""Voter 7: convolutions over order-book heat maps, an LSTM over their time axis."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from markets.values import BOOK_LEVELS, Books, FloatArray, IntArray
from models_ml.profiles import Profile
from models_ml.samples import Samples
from models_ml.voters.torch_loop import MARKET_WIDTH, Arrays, Net, NetVoter
from models_ml.votes import AbstainReason

INKS = 4
"""Bid distance, ask distance (each in units of the window's mean distance), bid size, ask size (likewise, log)."""
NEWEST_S = 15.0
"""Age of the newest snapshot at the decision above which there is no book."""
SNAPSHOT_S = 5.0
"""Rate at which books are kept; a window may span at most twice its nominal time."""
CLIP = 8.0


class BookNet(Net):
    """(B, 4, K, 20) heat maps and (B, K, 1) moves of the mid → (B, 3) logits."""

    def __init__(self, channels: int, width: int, markets: int) -> None:
        super().__init__()
        self.eye = nn.Sequential(
            nn.Conv2d(INKS, channels, (1, 4), stride=(1, 2), padding=(0, 1)),
            nn.ReLU(),
            nn.Conv2d(channels, channels, (3, 4), stride=(1, 2), padding=(1, 1)),
            nn.ReLU(),
        )
        self.memory = nn.LSTM(channels * (BOOK_LEVELS // 4) + 1, width, batch_first=True)
        self.market = nn.Embedding(markets, MARKET_WIDTH)
        self.mix = nn.Linear(width + MARKET_WIDTH, 32)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(32, 3)

    def forward(self, heat: Tensor, moves: Tensor, market: Tensor) -> Tensor:
        """Logits of down, neutral, up."""
        seen = self.eye(heat).permute(0, 2, 1, 3).flatten(2)  # (B, K, channels · 5)
        last = self.memory(torch.cat([seen, moves], dim=2))[0][:, -1]  # (B, width)
        mixed = self.mix(torch.cat([last, self.market(market)], dim=1))
        logits: Tensor = self.head(self.drop(functional.relu(mixed)))
        return logits


class _View:
    """The last K snapshots received by each decision."""

    def __init__(self, samples: Samples, length: int) -> None:
        self.books, self.length = samples.books, length
        self.instruments = samples.index[:, 0]
        self.closes = samples.open_times[samples.index[:, 1]] + 60
        self.order, self.counts = _arrivals(samples, self.closes)

    def read(self, rows: IntArray) -> tuple[Arrays, NDArray[np.bool_]]:
        heat = np.zeros((len(rows), INKS, self.length, BOOK_LEVELS), dtype=np.float32)
        moves = np.zeros((len(rows), self.length, 1), dtype=np.float32)
        known = np.zeros(len(rows), dtype=bool)
        if self.books is None:
            return (heat, moves), known
        places = self.counts[rows, None] + np.arange(-self.length, 0)
        enough = np.flatnonzero(places[:, 0] >= 0)
        instruments = self.instruments[rows[enough], None]
        picked = self.order[instruments, places[enough]]
        times, mid = self.books.times[instruments, picked], self.books.mid[instruments, picked]
        ages = self.closes[rows[enough], None] - times
        fresh = (ages[:, -1] <= NEWEST_S) & (ages[:, 0] <= 2 * self.length * SNAPSHOT_S) & np.isfinite(mid).all(axis=1)
        use = enough[fresh]
        heat[use] = _heat(self.books, instruments[fresh], picked[fresh])
        moves[use, :, 0] = _moves(mid[fresh])
        known[use] = True
        return (heat, moves), known

    def mirror(self, inputs: Arrays) -> Arrays:
        """Bids and asks change places."""
        heat, moves = inputs
        return heat[:, [1, 0, 3, 2]], -moves


class BookVoter(NetVoter):
    """Silent where an instrument has no fresh book, and untrained until there are `book_hours` of them."""

    key = "cnn_lstm_book"
    silence = AbstainReason.NO_BOOK

    def design(self, profile: Profile, train: Samples) -> dict[str, Any]:
        """See `NetVoter.design`."""
        return {"channels": profile.book_channels, "width": profile.book_width, "window": profile.book_window}

    def build(self, shape: dict[str, Any], markets: int) -> BookNet:
        """See `NetVoter.build`."""
        return BookNet(shape["channels"], shape["width"], markets)

    def view(self, samples: Samples) -> _View:
        """See `NetVoter.view`."""
        return _View(samples, self.shape["window"])

    def rows_needed(self, profile: Profile) -> int:
        """Instrument-minutes with a book."""
        return round(profile.book_hours * 60)


def _arrivals(samples: Samples, closes: IntArray) -> tuple[IntArray, IntArray]:
    """Snapshots of each instrument by time (I, S), and how many each row knows at its decision (N,)."""
    counts = np.zeros(len(closes), dtype=np.int64)
    if samples.books is None:
        return np.zeros((len(samples.ohlcv), 0), dtype=np.int64), counts
    times = np.where(np.isfinite(samples.books.times), samples.books.times, np.inf)
    order = np.argsort(times, axis=1, kind="stable")
    for instrument in np.unique(samples.index[:, 0]):
        rows = samples.index[:, 0] == instrument
        counts[rows] = np.searchsorted(times[instrument, order[instrument]], closes[rows], side="right")
    return order, counts


def _heat(books: Books, instruments: IntArray, picked: IntArray) -> NDArray[np.float32]:
    """(n, 4, K, 20) from instruments (n, 1) and snapshot numbers (n, K); an absent level is zero."""
    mid = books.mid[instruments, picked][..., None, None]
    distance = np.nan_to_num(np.abs(np.log(books.prices[instruments, picked] / mid)))  # (n, K, 2, 20)
    size = np.nan_to_num(books.sizes[instruments, picked].astype(np.float64))
    parts = (_relative(distance), np.log1p(_relative(size)))
    heat = np.concatenate(parts, axis=2).transpose(0, 2, 1, 3)
    return np.asarray(np.clip(heat, -CLIP, CLIP), dtype=np.float32)


def _relative(values: FloatArray) -> FloatArray:
    """In units of the window's own mean."""
    mean = values.mean(axis=(1, 2, 3), keepdims=True)
    out = np.zeros_like(values)
    np.divide(values, mean, out=out, where=mean > 0)
    return out


def _moves(mid: FloatArray) -> FloatArray:
    """Log moves of the mid (n, K) in units of their own size in the window."""
    steps = np.diff(np.log(mid), axis=1, prepend=np.log(mid[:, :1]))
    size = np.sqrt((steps**2).mean(axis=1, keepdims=True))
    out = np.zeros_like(steps)
    np.divide(steps, size, out=out, where=size > 0)
    return np.asarray(np.clip(out, -CLIP, CLIP))
