"""A linear sentiment model: words, letters and the lexicon's figures into one logistic regression.

TF-IDF of words (1 and 2 in a row, figures as one sign) and of letters (2 to 5 within words) beside `polarity.figures`.
Unweighted multinomial logistic loss, so that its probabilities are calibrated as far as the training sentences are
like those read later. Files: skops and JSON, no pickle.

Sentences about amounts explain themselves by their movements, so that a model learns little else from them. With
`masked` each sentence is learned from twice, half of the weight each: as it is, and without what moved (`MASKED`).
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
import skops.io
from scipy.sparse import csr_matrix, hstack, vstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from skops.io.exceptions import UntrustedTypesFoundException

from markets.values import FloatArray
from models_ml.agents.amounts import repaired
from models_ml.agents.polarity import FIGURES, figures
from models_ml.agents.sentiment import LABELS, MANIFEST, SentimentError, balance

FILE = "sentiment.skops"
FORMAT = 1
LEAST = 30
"""Sentences of each label from which a model is worth fitting."""
ROUNDS = 2000
WORD = r"(?u)\b\w+\b|%"
MASKED = tuple(name for name in FIGURES if name.startswith(("moved", "compared", "score", "says")))
_FIGURE = re.compile(r"\d[\d.,]*")


@dataclass(frozen=True, slots=True)
class Settings:
    """What is chosen inside the training sentences: the inverse of the penalty, and the weight of the lexicon."""

    c: float = 1.0
    lexicon: float = 1.0
    masked: bool = True


class TextFeatures:
    """Sentences into one sparse matrix; fitted on the training sentences alone."""

    def __init__(self) -> None:
        self.words = TfidfVectorizer(
            ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=WORD, dtype=np.float64
        )
        self.letters = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(2, 5), min_df=3, sublinear_tf=True, dtype=np.float64
        )

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn vocabulary and frequencies."""
        plain = [_plain(text) for text in texts]
        self.words.fit(plain)
        self.letters.fit(plain)
        return self

    def of(self, texts: Sequence[str]) -> tuple[csr_matrix, FloatArray]:
        """Counts (N, terms) and the lexicon's figures (N, 13)."""
        plain = [_plain(text) for text in texts]
        counts = hstack([self.words.transform(plain), self.letters.transform(plain)]).tocsr()
        return counts, np.array([figures(text) for text in texts]).reshape(len(texts), len(FIGURES))


def _plain(text: str) -> str:
    return _FIGURE.sub("0", repaired(text))


def joined(counts: csr_matrix, found: FloatArray, weight: float) -> csr_matrix:
    """The matrix that the regression sees; weight 0 leaves the lexicon out."""
    return hstack([counts, csr_matrix(found * weight)]).tocsr() if weight else counts


def fit_logistic(
    counts: csr_matrix, found: FloatArray, labels: Sequence[str], settings: Settings
) -> LogisticRegression:
    """The regression, with its classes in the order of `LABELS`."""
    matrix, truth = joined(counts, found, settings.lexicon), np.array(labels)
    weight = np.ones(len(truth))
    if settings.masked and settings.lexicon:
        hidden = joined(counts, found * ~np.isin(FIGURES, MASKED), settings.lexicon)
        matrix, truth, weight = vstack([matrix, hidden]), np.r_[truth, truth], np.full(2 * len(truth), 0.5)
    return LogisticRegression(C=settings.c, max_iter=ROUNDS).fit(matrix, truth, sample_weight=weight)


class LinearReader:
    """See the module's docstring; a `sentiment.Reader` once fitted or loaded."""

    key = "linear"

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.features = TextFeatures()
        self.regression: LogisticRegression | None = None

    def fit(self, texts: Sequence[str], labels: Sequence[str]) -> Self:
        """Learn from labelled sentences.

        Raises:
            SentimentError: a label that is none of `LABELS`, or too few sentences of one.
        """
        check_labels(labels)
        counts, found = self.features.fit(texts).of(texts)
        self.regression = fit_logistic(counts, found, labels, self.settings)
        return self

    def probabilities(self, texts: Sequence[str]) -> FloatArray:
        """(N, 3) in the order of `LABELS`."""
        if self.regression is None:
            raise SentimentError("the sentiment model is not fitted: call fit or load first")
        if not texts:
            return np.empty((0, len(LABELS)))
        counts, found = self.features.of(texts)
        said: FloatArray = self.regression.predict_proba(joined(counts, found, self.settings.lexicon))
        return said

    def scores(self, texts: Sequence[str]) -> FloatArray:
        """See `sentiment.Reader.scores`."""
        return balance(self.probabilities(texts))

    def labels(self, texts: Sequence[str]) -> list[str]:
        """The likeliest label of each."""
        return [LABELS[place] for place in self.probabilities(texts).argmax(axis=1)]

    def save(self, folder: Path, facts: dict[str, Any] | None = None) -> None:
        """Write the model into an existing folder, with whatever `facts` tell where it came from."""
        parts = {"words": self.features.words, "letters": self.features.letters, "regression": self.regression}
        skops.io.dump(parts, folder / FILE)
        manifest = {"format": FORMAT, "settings": asdict(self.settings), "figures": FIGURES, "facts": facts or {}}
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a saved model; types outside skops' own safe list are refused before they are built.

        Raises:
            SentimentError: missing, damaged, or of another release.
        """
        try:
            manifest = json.loads((folder / MANIFEST).read_text())
            if manifest["format"] != FORMAT or tuple(manifest["figures"]) != FIGURES:
                raise SentimentError(f"sentiment model in {folder} is of another release: run train_sentiment again")
            reader = cls(Settings(**manifest["settings"]))
            parts = skops.io.load(folder / FILE, trusted=[])
            reader.features.words, reader.features.letters = parts["words"], parts["letters"]
            reader.regression = parts["regression"]
        except (OSError, ValueError, KeyError, TypeError, BadZipFile, UntrustedTypesFoundException) as error:
            raise SentimentError(
                f"sentiment model in {folder} cannot be read ({type(error).__name__}): run train_sentiment again"
            ) from error
        return reader


def check_labels(labels: Sequence[str]) -> None:
    """Raise `SentimentError` unless every label is known and there are enough of each."""
    foreign = sorted(set(labels) - set(LABELS))
    if foreign:
        raise SentimentError(f"label {foreign[0]!r} is none of {', '.join(LABELS)}")
    few = [label for label in LABELS if list(labels).count(label) < LEAST]
    if few:
        raise SentimentError(f"fewer than {LEAST} {few[0]} sentences: a model learned from them would say little")
