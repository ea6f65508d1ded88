"""Voter 7: convolutions over order-book heat maps, an LSTM over their time axis, a line from what they sum up to.

Where trades are recorded it also hears who was in a hurry: the signed flow of the instrument and of the others.
"""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from markets.values import BOOK_LEVELS, Books, FloatArray, IntArray
from models_ml.features.book_frames import (
    INKS,
    PATH,
    SUMMARIES,
    SUMMARY,
    TRADES,
    Tensors,
    mirrored,
    others,
    snapshot_frames,
    summary,
    tensors,
)
from models_ml.features.microstructure import signed_flow
from models_ml.profiles import Profile
from models_ml.samples import UNKNOWN_LABEL, Samples
from models_ml.voters.base import CorruptArtifact, OnStep
from models_ml.voters.book_net import BookNet
from models_ml.voters.book_training import Lesson, Pace, learn
from models_ml.voters.torch_loop import Arrays, Labelled, NetVoter
from models_ml.votes import AbstainReason

NEWEST_S = 15.0
"""Age of the newest snapshot at the decision above which there is no book."""
SNAPSHOT_S = 5.0
"""Rate at which books are kept; a window may span at most twice its nominal time."""
AHEAD_S = (10.0, 60.0)
"""Moves of the mid that the net learns beside the next minute's candle, and is never asked about."""
LEANS = (1, None, 1)
"""The minute and the longer move start from the shorter one."""
SUMS = (*SUMMARIES, *TRADES)
CHANNELS = [*PATH, *SUMS]
CHUNK = 4096


class _View:
    """The last K snapshots received by each decision, the trades, and what the other instruments sum up to by then."""

    def __init__(self, samples: Samples, length: int, levels: int) -> None:
        self.books, self.flow, self.length, self.levels = samples.books, samples.flow, length, levels
        self.instruments = samples.index[:, 0]
        self.closes = samples.open_times[samples.index[:, 1]] + 60
        self.moments, self.moment = np.unique(self.closes, return_inverse=True)
        self.times, self.order = _sorted(samples.books, len(samples.ohlcv))

    def read(self, rows: IntArray) -> tuple[Arrays, NDArray[np.bool_]]:
        instruments, closes = self.instruments[rows], self.closes[rows]
        picked, known = self._picked(instruments, closes)
        heat = np.zeros((len(rows), INKS, self.length, self.levels), dtype=np.float32)
        path = np.zeros((len(rows), self.length, len(PATH)), dtype=np.float32)
        sums = np.zeros((len(rows), len(SUMS)), dtype=np.float32)
        if self.books is not None and known.any():
            frames = snapshot_frames(self.books, instruments[known, None], picked[known], closes[known], self.levels)
            heat[known], path[known], own = tensors(frames)
            there = instruments[known], self.moment[rows[known]]
            sums[known] = np.concatenate([own, self._market[there], self._trades[there]], axis=1)
        return (heat, path, sums), known

    def mirror(self, inputs: Arrays) -> Arrays:
        """Bids and asks change places."""
        heat, path, sums = inputs
        return mirrored((heat, path, sums))

    def known_by(self, instruments: IntArray, moments: FloatArray | IntArray) -> IntArray:
        """How many snapshots of each instrument were stamped at or before its moment (n,)."""
        counts = np.zeros(len(moments), dtype=np.int64)
        for instrument in np.unique(instruments):
            rows = instruments == instrument
            counts[rows] = np.searchsorted(self.times[instrument], moments[rows], side="right")
        return counts

    @cached_property
    def _market(self) -> NDArray[np.float32]:
        """Mean sums of the other instruments (I, moments, S), of those with a fresh book."""
        instruments, moment = self._everywhere
        sums = np.zeros((len(moment), len(SUMMARY)), dtype=np.float32)
        fresh = np.zeros(len(moment), dtype=bool)
        for rows in _chunks(len(moment)):
            sums[rows], fresh[rows] = self._sums(instruments[rows], self.moments[moment[rows]])
        sums[fresh] = others(sums[fresh], moment[fresh])
        return sums.reshape(len(self.times), len(self.moments), -1)

    @cached_property
    def _trades(self) -> NDArray[np.float32]:
        """Signed trade flow of each instrument and the mean of the others' (I, moments, T), 0 where it is unknown."""
        instruments, moment = self._everywhere
        own = [signed_flow(self.flow, instruments[rows], self.moments[moment[rows]]) for rows in _chunks(len(moment))]
        flow = np.concatenate(own)
        traded = flow.any(axis=1)
        market = np.zeros_like(flow)
        market[traded] = others(flow[traded], moment[traded])
        return np.concatenate([flow, market], axis=1).reshape(len(self.times), len(self.moments), -1)

    @property
    def _everywhere(self) -> tuple[IntArray, IntArray]:
        """Instrument and place of the moment of every pair of the two (I · moments,)."""
        instruments, moment = np.indices((len(self.times), len(self.moments))).reshape(2, -1)
        return instruments, moment

    def _sums(self, instruments: IntArray, closes: IntArray) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        out = np.zeros((len(closes), len(SUMMARY)), dtype=np.float32)
        picked, known = self._picked(instruments, closes)
        if self.books is not None and known.any():
            out[known] = summary(
                snapshot_frames(self.books, instruments[known, None], picked[known], closes[known], self.levels)
            )
        return out, known

    def _picked(self, instruments: IntArray, closes: IntArray) -> tuple[IntArray, NDArray[np.bool_]]:
        """Snapshot numbers (n, K) of the windows, and which of the windows are whole and fresh."""
        places = self.known_by(instruments, closes)[:, None] + np.arange(-self.length, 0)
        known = places[:, 0] >= 0
        picked = np.zeros(places.shape, dtype=np.int64)
        if self.books is None or not known.any():
            return picked, known & False
        each = instruments[known, None]
        picked[known] = self.order[each, places[known]]
        ages = closes[known, None] - self.books.times[each, picked[known]]
        fresh = (ages[:, -1] <= NEWEST_S) & (ages[:, 0] <= 2 * self.length * SNAPSHOT_S)
        known[known] = fresh & np.isfinite(self.books.mid[each, picked[known]]).all(axis=1)
        return picked, known


class BookVoter(NetVoter):
    """Silent where an instrument has no fresh book, and untrained until there are `book_hours` of them."""

    key = "cnn_lstm_book"
    silence = AbstainReason.NO_BOOK
    net: BookNet

    @classmethod
    def begins(cls, samples: Samples) -> float:
        """See `Voter.begins`: candles go back months, books are kept for days."""
        times = samples.books.times if samples.books is not None else np.zeros(0)
        return float(np.nanmin(times)) if np.isfinite(times).any() else super().begins(samples)

    def design(self, profile: Profile, train: Samples) -> dict[str, Any]:
        """See `NetVoter.design`."""
        sizes = {"channels": profile.book_channels, "width": profile.book_width, "window": profile.book_window}
        return sizes | {"levels": _levels(train.books), "reads": CHANNELS}

    def build(self, shape: dict[str, Any], markets: int) -> BookNet:
        """See `NetVoter.build`; raises `CorruptArtifact` for a net that read other channels."""
        if shape.get("reads") != CHANNELS:
            raise CorruptArtifact("the order-book net is of a release that read the book otherwise: train again")
        return BookNet(shape["channels"], shape["width"], markets, shape["levels"], 1 + len(AHEAD_S), SUMS)

    def view(self, samples: Samples) -> _View:
        """See `NetVoter.view`."""
        return _View(samples, self.shape["window"], self.shape["levels"])

    def rows_needed(self, profile: Profile) -> int:
        """Instrument-minutes with a book."""
        return round(profile.book_hours * 60)

    def _loop(self, train: Labelled, validation: Labelled, profile: Profile, on_step: OnStep | None) -> int:
        """See `book_training.learn`. Epochs."""
        pace = Pace(profile.epochs, profile.patience, profile.batch, profile.learning_rate, profile.max_rows)
        return learn(self.net, self._lesson(*train), self._lesson(*validation), pace, on_epoch=on_step).epochs

    def _lesson(self, samples: Samples, labels: NDArray[np.int8]) -> Lesson:
        view = self.view(samples)

        def read(rows: IntArray) -> Tensors:
            heat, path, sums = view.read(rows)[0]
            return heat, path, sums

        outcomes = np.stack([labels, *(_moves(samples, view, ahead) for ahead in AHEAD_S)], axis=1)
        return Lesson(read, outcomes, self._numbers(samples, np.arange(len(samples))), LEANS)


def _chunks(rows: int) -> list[IntArray]:
    return np.array_split(np.arange(rows), max(rows // CHUNK, 1))


def _levels(books: Books | None) -> int:
    """Levels a side that any book has."""
    if books is None:
        return BOOK_LEVELS
    filled = np.flatnonzero((books.sizes > 0).any(axis=(0, 1, 2)))
    return int(filled.max(initial=0)) + 1


def _sorted(books: Books | None, instruments: int) -> tuple[FloatArray, IntArray]:
    """Times of the snapshots of each instrument (I, S), sorted, unknown ones last, and their numbers."""
    if books is None:
        return np.zeros((instruments, 0)), np.zeros((instruments, 0), dtype=np.int64)
    times = np.where(np.isfinite(books.times), books.times, np.inf)
    order = np.argsort(times, axis=1, kind="stable")
    return np.take_along_axis(times, order, 1), order


def _moves(samples: Samples, view: _View, ahead_s: float) -> NDArray[np.int8]:
    """Where the mid stands `ahead_s` after each decision (N,): 0 lower, 1 unchanged, 2 higher, −1 unknown."""
    out = np.full(len(samples), UNKNOWN_LABEL, dtype=np.int8)
    if samples.books is None:
        return out
    mids = np.take_along_axis(samples.books.half_ticks(), view.order, 1)
    then = (view.closes + ahead_s).astype(np.float64)
    now, later = view.known_by(view.instruments, view.closes) - 1, view.known_by(view.instruments, then) - 1
    known = (now >= 0) & (later > now)
    first, last = np.maximum(now, 0), np.maximum(later, 0)
    known &= then - view.times[view.instruments, last] <= SNAPSHOT_S
    move = mids[view.instruments, last] - mids[view.instruments, first]
    known &= np.isfinite(move)
    out[known] = np.sign(move[known]) + 1
    return out
