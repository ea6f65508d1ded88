"""Figures of sentiment readers on labelled sentences: the split, the choice inside the training part, the table.

The last share of each label's sentences, in the file's order, is the test part: sentences of one source stand side by
side in such files, so a random split would put near copies of a test sentence into training. Everything is chosen in
the same way inside the training part: learned from what stands before, checked on what stands behind. The test part
is read once.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.agents.sentiment import LABELS, LexiconReader, SentimentError
from models_ml.agents.sentiment_linear import LinearReader, Settings, TextFeatures, check_labels, fit_logistic, joined

STEPS = (1 / 2, 1 / 3)
"""Shares of the training part that configurations are checked on, after learning from what stands before."""
GRID = tuple(
    Settings(c, lexicon, masked)
    for c, lexicon, masked in product((0.3, 1.0, 3.0, 10.0), (0.3, 1.0, 2.0), (False, True))
)
PLAIN = tuple(Settings(c, 0.0, masked=False) for c in (1.0, 3.0, 10.0, 30.0))
"""The same without the lexicon: the usual baseline."""
DRAWS = 2000
BINS = 10

Figures = dict[str, Any]


def last_share(labels: Sequence[str], test: float) -> tuple[IntArray, IntArray]:
    """Row numbers of the training and the test part: of each label the last `test` share in the file's order."""
    if not 0 < test < 1:
        raise SentimentError(f"test share {test:g}: use a number between 0 and 1")
    part = np.zeros(len(labels), dtype=bool)
    for label in set(labels):
        rows = np.flatnonzero(np.array(labels) == label)
        part[rows[len(rows) - int(len(rows) * test) :]] = True
    return np.flatnonzero(~part), np.flatnonzero(part)


def picked(values: Sequence[str], rows: IntArray) -> list[str]:
    """The values at some rows."""
    return [values[row] for row in rows.tolist()]


@dataclass(frozen=True, slots=True)
class Tried:
    """One configuration's mean figures over the steps inside the training part."""

    settings: Settings
    log_loss: float
    accuracy: float
    macro_f1: float

    def as_json(self) -> Figures:
        """Flat, for reports."""
        return {**asdict(self.settings), **{key: round(getattr(self, key), 4) for key in _KEYS}}


_KEYS = ("log_loss", "accuracy", "macro_f1")


def try_all(
    texts: Sequence[str],
    labels: Sequence[str],
    grid: Sequence[Settings],
    on_step: Callable[[int, int], None] | None = None,
) -> list[Tried]:
    """Check every configuration on every step, the best (lowest log loss, a proper score) first."""
    check_labels(labels)
    found = {settings: np.zeros(3) for settings in grid}
    for number, share in enumerate(STEPS):
        before, behind = last_share(labels, share)
        features = TextFeatures().fit(picked(texts, before))
        learn, check = (features.of(picked(texts, rows)) for rows in (before, behind))
        truth = picked(labels, behind)
        for place, settings in enumerate(grid):
            model = fit_logistic(*learn, picked(labels, before), settings)
            said = model.predict_proba(joined(*check, settings.lexicon))
            found[settings] += (log_loss(said, truth), *accuracy_and_f1(_said(said), _places(truth)))
            if on_step is not None:
                on_step(number * len(grid) + place + 1, len(STEPS) * len(grid))
    tried = [Tried(settings, *(sums / len(STEPS))) for settings, sums in found.items()]
    return sorted(tried, key=lambda one: one.log_loss)


def measured(said: IntArray, labels: Sequence[str], probabilities: FloatArray | None = None, seed: int = 0) -> Figures:
    """Accuracy and macro-F1 with bootstrap intervals, precision and recall by label, and of probabilities the rest."""
    truth = _places(labels)
    accuracy, macro = accuracy_and_f1(said, truth)
    draws = np.random.default_rng(seed).integers(0, len(truth), (DRAWS, len(truth)))
    drawn = np.array([accuracy_and_f1(said[rows], truth[rows]) for rows in draws])
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    figures: Figures = {
        "n": len(truth),
        "accuracy": accuracy,
        "accuracy_ci": [low[0], high[0]],
        "macro_f1": macro,
        "macro_f1_ci": [low[1], high[1]],
        "by_label": {label: _by_label(said == place, truth == place) for place, label in enumerate(LABELS)},
    }
    if probabilities is not None:
        figures["log_loss"] = log_loss(probabilities, labels)
        figures["ece"] = calibration_error(probabilities, truth)
    return figures


def elsewhere(scores: FloatArray, truth: FloatArray, least: float = 0.1) -> Figures:
    """Another set with scores −1..1: rank correlation, and hits of the side where both take one."""
    both = (np.abs(scores) >= least) & (np.abs(truth) >= least)
    takes = np.abs(scores) >= least
    hits = np.sign(scores[both]) == np.sign(truth[both])
    return {
        "n": len(truth),
        "rank_correlation": rank_correlation(scores, truth),
        "takes_a_side": float(takes.mean()),
        "side_n": int(both.sum()),
        "side_right": float(hits.mean()) if both.any() else None,
    }


def accuracy_and_f1(said: IntArray, truth: IntArray) -> tuple[float, float]:
    """Share right, and the mean F1 of the three labels (a label neither said nor true counts 0)."""
    scores = []
    for place in range(len(LABELS)):
        right = float(((said == place) & (truth == place)).sum())
        both = float((said == place).sum() + (truth == place).sum())
        scores.append(2 * right / both if both else 0.0)
    return float((said == truth).mean()), float(np.mean(scores))


def log_loss(probabilities: FloatArray, labels: Sequence[str]) -> float:
    """Mean −log p of the true label, nats."""
    picked = probabilities[np.arange(len(labels)), _places(labels)]
    return float(-np.log(np.maximum(picked, 1e-12)).mean())


def calibration_error(probabilities: FloatArray, truth: IntArray) -> float:
    """Expected calibration error of the likeliest label, `BINS` bins of equal size."""
    top = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    parts = np.array_split(np.argsort(top, kind="stable"), BINS)
    return float(sum(len(rows) / len(top) * abs(top[rows].mean() - right[rows].mean()) for rows in parts if len(rows)))


def rank_correlation(a: FloatArray, b: FloatArray) -> float | None:
    """Spearman's, with mean ranks for equal values; None where one of them never varies."""
    from scipy.stats import rankdata

    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


@dataclass(frozen=True, slots=True)
class Report:
    """What one opening of the test part showed."""

    tried: list[Tried]
    chosen: Settings
    plain: Settings
    methods: dict[str, Figures]
    reader: LinearReader


def open_test(
    train: tuple[list[str], list[str]],
    test: tuple[list[str], list[str]],
    on_step: Callable[[int, int], None] | None = None,
) -> Report:
    """Choose inside `train`, fit once on all of it, and read `test` once: (texts, labels) each."""
    grid = (*GRID, *PLAIN)
    tried = try_all(*train, grid, on_step)
    chosen = next(one.settings for one in tried if one.settings.lexicon)
    plain = next(one.settings for one in tried if not one.settings.lexicon)
    readers = {"tfidf": LinearReader(plain).fit(*train), "linear": LinearReader(chosen).fit(*train)}
    texts, labels = test
    common = max(set(train[1]), key=train[1].count)
    methods = {
        "majority": measured(_places([common] * len(texts)), labels),
        "lexicon": measured(_places(LexiconReader().labels(texts)), labels),
    }
    for key, reader in readers.items():
        said = reader.probabilities(texts)
        methods[key] = measured(_said(said), labels, said)
    return Report(tried, chosen, plain, methods, readers["linear"])


def rounded(value: Any, digits: int = 4) -> Any:  # noqa: ANN401  # any JSON value
    """The same report with numbers short enough to read."""
    if isinstance(value, dict):
        return {key: rounded(one, digits) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one, digits) for one in value]
    return round(float(value), digits) if isinstance(value, float | np.floating) else value


def _places(labels: Sequence[str]) -> IntArray:
    return np.array([LABELS.index(label) for label in labels], dtype=np.int64)


def _said(probabilities: FloatArray) -> IntArray:
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)


def _by_label(said: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Figures:
    right = int((said & truth).sum())
    return {
        "n": int(truth.sum()),
        "precision": right / int(said.sum()) if said.any() else None,
        "recall": right / int(truth.sum()) if truth.any() else None,
    }
