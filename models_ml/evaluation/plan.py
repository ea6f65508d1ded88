"""What is measured: the set, the seats, the sizes, and which rows serve what."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from markets.values import IntArray
from models_ml.evaluation.candle_sets import CandleSet, CloseEntry
from models_ml.evaluation.sources import digest_of
from models_ml.evaluation.vector import samples_of
from models_ml.fitting import decision_times
from models_ml.profiles import Profile
from models_ml.samples import Samples
from models_ml.validation.splits import time_ordered

SHARES = (0.55, 0.1, 0.35)
"""Of the training part: to learn from, to stop early and set thresholds on, to weigh the voters by. Days
weigh voters, not rows: few of them and the stack believes a mood."""
AGAIN = (0.9, 0.1)
"""Of the training part, for the trees, which are quick enough to learn again from nearly all of it before the test."""
LATE_ROWS = 120_000
"""Rows by which voters are weighed, evenly drawn from their slice."""
WINDOWS = {"lstm": 12_000, "gru": 12_000, "transformer": 12_000, "cnn": 30_000, "cnn_lstm_book": 12_000}
"""Windows that a net learns from on a CPU, evenly drawn: they are meant for 20 minutes a set and seed on two cores."""
TREE_ROWS = {"xgb": 2_000_000, "random_forest": 150_000}
"""Likewise the rows of each fit of the trees; boosting gains by every one of them."""
EPOCHS = 4
"""Likewise the times that a net sees its windows."""
MODELS = Path(__file__).parents[1]
CODE = (MODELS / "voters", MODELS / "features", MODELS / "samples.py", MODELS / "profiles.py", Path(__file__))


@dataclass(frozen=True, slots=True)
class Slices:
    """Row numbers of a set: what voters learn from, stop on, are weighed on; the second pair is for learning again."""

    train: IntArray
    validation: IntArray
    late: IntArray
    train_again: IntArray
    validation_again: IntArray
    test: IntArray


@dataclass(frozen=True, slots=True)
class Plan:
    """One set to be measured; `folder` keeps what is done of it."""

    folder: Path
    seats: tuple[str, ...]
    profile: Profile
    seeds: int

    def votes_at(self, seat: str, seed: int) -> Path:
        """Where the votes of a seat and seed are kept."""
        return self.folder / str(seed) / f"{seat}.npz"

    def configuration(self, commit: str) -> str:
        """A name for all that was chosen: sizes, seats and code."""
        return digest_of(asdict(self.profile), self.seats, commit)


def plan_for(one: CandleSet, root: Path, seats: tuple[str, ...], profile: Profile, seeds: int) -> Plan:
    """A plan whose folder is named after all that its votes depend on."""
    return Plan(root / digest_of(one.digest, asdict(profile), WINDOWS, TREE_ROWS, EPOCHS, *CODE), seats, profile, seeds)


def sized(profile: Profile, seat: str) -> Profile:
    """The profile with no more rows than a CPU learns from in the stated time; a GPU takes them all."""
    import torch  # seconds to import, and only workers need it

    if torch.cuda.is_available():
        return profile
    windows, rows = WINDOWS.get(seat, profile.max_rows), TREE_ROWS.get(seat, profile.tree_rows)
    return replace(
        profile,
        max_rows=min(profile.max_rows, windows),
        tree_rows=min(profile.tree_rows, rows),
        epochs=min(profile.epochs, EPOCHS),
    )


def learns_again(seat: str) -> bool:
    """Whether the seat is quick enough to learn again from nearly all of the training part."""
    return seat in TREE_ROWS


def slices_of(one: CandleSet) -> Slices:
    """The rows of each part, parted by time and purged."""
    times = decision_times(one.samples)
    first = [one.train[rows] for rows in time_ordered(times[one.train], SHARES)]
    again = [one.train[rows] for rows in time_ordered(times[one.train], AGAIN)]
    late = first[2]
    if len(late) > LATE_ROWS:
        late = np.sort(np.random.default_rng(0).choice(late, LATE_ROWS, replace=False))
    return Slices(first[0], first[1], late, again[0], again[1], one.test)


def write_set(one: CandleSet, folder: Path) -> None:
    """Put the set where other processes find it; the features stay where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    samples, parts = one.samples, slices_of(one)
    rows = {name: getattr(parts, name) for name in Slices.__dataclass_fields__}
    np.savez(
        folder / "set.npz",
        open_times=samples.open_times,
        ohlcv=samples.ohlcv,
        market=samples.market,
        index=samples.index,
        **rows,
    )
    facts = {"symbols": one.symbols, "features": str(one.features.resolve()), "close": one.entry == "close"}
    (folder / "set.json").write_text(json.dumps(facts))


def read_set(folder: Path) -> tuple[Samples, Slices]:
    """What `write_set` wrote, the features mapped from the disk."""
    facts = json.loads((folder / "set.json").read_text())
    with np.load(folder / "set.npz") as found:
        arrays = {name: found[name] for name in found.files}
    slices = Slices(**{name: arrays.pop(name) for name in Slices.__dataclass_fields__})
    features = np.load(facts["features"], mmap_mode="r")[:, : len(arrays["open_times"])]
    kind = CloseEntry if facts["close"] else Samples
    windows = arrays["open_times"], arrays["ohlcv"], features, arrays["market"], arrays["index"]
    return samples_of(kind, *windows, facts["symbols"]), slices
