"""The seven local voters at `standard` sizes, made quickly: how long a voter takes does not depend on its weights.

The nets see a few hundred rows for one epoch, and each is then asked whatever that epoch was worth: one that stayed at
its line would cost next to nothing. The trees see enough rows to grow to the depth they have in life. The panel is kept
under `var/bench`, by a hash of the code that shapes it.
"""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.rig import ROOT
from lib import clock
from markets.values import Books, FloatArray, IntArray
from models_ml import artifacts
from models_ml.features import FEATURES_HASH, LOOKBACK, VECTOR, build_vector
from models_ml.profiles import STANDARD
from models_ml.samples import Samples
from models_ml.voters import LOCAL_SEATS, voter_class
from models_ml.voters.base import Voter

STEM = ROOT / "var" / "bench"
MINUTES = 4000
TICK = 0.01
INSTRUMENTS = 8
NETS = replace(STANDARD, name="standard, one epoch", max_rows=512, epochs=1, judge_rows=512, book_hours=1.0)
TREES = replace(STANDARD, name="standard, few rows", tree_rows=20_000, forest_leaf=10, xgb_rate=0.01)
START = 1_772_582_400
"""2026-03-04 00:00 UTC."""


def walk(instruments: int, minutes: int, seed: int) -> FloatArray:
    """Random-walk candles (I, T, 5)."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, (instruments, minutes)), axis=1))
    opened = np.concatenate([np.full((instruments, 1), 100.0), close[:, :-1]], axis=1)
    reach = np.abs(rng.normal(0, 5e-4, (2, instruments, minutes)))
    high, low = np.maximum(opened, close) * np.exp(reach[0]), np.minimum(opened, close) * np.exp(-reach[1])
    return np.stack([opened, high, low, close, rng.lognormal(3, 1, (instruments, minutes))], axis=-1)


def books_of(times: IntArray, ohlcv: FloatArray, minutes: int, seed: int) -> Books:
    """Snapshots every 5 s over the last `minutes`, 20 levels a side around each minute's close."""
    rng = np.random.default_rng(seed)
    at = (times[-minutes:, None] + 5.0 * (1 + np.arange(12))).reshape(-1)
    mid = np.repeat(ohlcv[:, -minutes:, 3], 12, axis=1) * (1 + rng.normal(0, 1e-5, (len(ohlcv), len(at))))
    step = mid[:, :, None] * 1e-4 * (1 + np.arange(20))
    prices = np.stack([mid[:, :, None] - step, mid[:, :, None] + step], axis=2)
    sizes = rng.lognormal(0, 1, prices.shape).astype(np.float32)
    return Books.of(np.broadcast_to(at, mid.shape).copy(), mid, prices, sizes, TICK)


def live_samples(instruments: int, seed: int = 1) -> Samples:
    """What a live panel is asked: one row an instrument, at the last minute, with books."""
    ohlcv = walk(instruments, LOOKBACK, seed)
    times = START + 60 * np.arange(LOOKBACK, dtype=np.int64)
    features = build_vector(times, ohlcv, rows=1)
    index = np.stack([np.arange(instruments), np.full(instruments, LOOKBACK - 1)], axis=1)
    return Samples(times, ohlcv, features, np.arange(instruments) + 1, index, books_of(times, ohlcv, 6, seed))


def voters() -> dict[str, Voter]:
    """The panel, fitted the first time and read from disk later."""
    folder = STEM / f"panel-{_state()}"
    if not folder.is_dir():
        _make(folder)
    return {seat: artifacts.read(folder / seat, seat, _sha(folder / seat), FEATURES_HASH) for seat in LOCAL_SEATS}


def crown(venue_id: int, market_class: str, trained_until: int, artifacts_dir: Path) -> None:
    """Make the panel the champions of a venue, trained until that epoch second."""
    from models_ml import promotion
    from models_ml.models import ModelVersion

    voters()
    folder = STEM / f"panel-{_state()}"
    until = clock.from_epoch(trained_until)
    for seat in LOCAL_SEATS:
        path = f"bench/{market_class}/{seat}"
        shutil.copytree(folder / seat, artifacts_dir / path)
        facts: dict[str, Any] = {"voter": seat, "profile": "standard"}
        stamps = {"trained_from": until, "trained_until": until, "trained_at": clock.wall_now()}
        files = {"path": path, "sha256": _sha(artifacts_dir / path), "features_hash": FEATURES_HASH}
        version = ModelVersion.objects.create(
            venue_id=venue_id, market_class=market_class, code_version="bench", seed=0, threshold=0.0,
            **facts, **stamps, **files,
        )  # fmt: skip
        promotion.bootstrap(version, by="bench")


def _make(folder: Path) -> None:
    shutil.rmtree(STEM, ignore_errors=True)
    train = _training()
    for seat in LOCAL_SEATS:
        profile = TREES if seat in {"xgb", "random_forest"} else NETS
        voter = voter_class(seat)(VECTOR)
        rows = train if profile is TREES else _late(train)
        voter.fit(rows, rows, profile)
        _awake(voter)
        artifacts.write(voter, folder.with_name("draft") / seat, features_hash=FEATURES_HASH)
    folder.with_name("draft").rename(folder)


def _awake(voter: Voter) -> None:
    """Let a net be asked that learned nothing beyond its line."""
    from models_ml.voters.torch_loop import NetVoter

    if isinstance(voter, NetVoter) and not voter.net.head.weight.any():
        voter.net.head.weight.data.fill_(1e-3)


def _training() -> Samples:
    ohlcv = walk(INSTRUMENTS, MINUTES, 0)
    times = START + 60 * np.arange(MINUTES, dtype=np.int64)
    rows = np.arange(LOOKBACK, MINUTES - 1)
    index = np.stack(np.meshgrid(np.arange(INSTRUMENTS), rows, indexing="ij"), axis=-1).reshape(-1, 2)
    features = build_vector(times, ohlcv)
    return Samples(times, ohlcv, features, np.arange(INSTRUMENTS) + 1, index, books_of(times, ohlcv, 120, 0))


def _late(samples: Samples) -> Samples:
    """The rows that have books."""
    return samples.pick(samples.index[:, 1] >= MINUTES - 100)


def _sha(folder: Path) -> str:
    return artifacts.content_hash(folder)


def _state() -> str:
    """A hash over the code that decides what a voter is."""
    sources: Sequence[Path] = sorted((ROOT / "models_ml" / "voters").glob("*.py"))
    digest = hashlib.sha256(FEATURES_HASH.encode())
    for path in [*sources, ROOT / "models_ml" / "profiles.py", Path(__file__)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
