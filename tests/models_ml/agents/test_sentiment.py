"""Readers of headlines: one contract, and what a trained or foreign model may not do."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from models_ml.agents.finbert import FinbertReader, order_of
from models_ml.agents.sentiment import LABELS, MANIFEST, LexiconReader, Reader, SentimentError, tone
from models_ml.agents.sentiment_linear import FILE, LinearReader, Settings
from tests.models_ml.agents.sentences import LABELLED, TEXTS

HEADLINES = ["Profit rose 8 % on strong demand", "The meeting is in May", "The bank slips to a loss", ""]


@pytest.fixture(scope="module")
def linear() -> LinearReader:
    return LinearReader(Settings()).fit(TEXTS, LABELLED)


@pytest.fixture(params=["lexicon", "linear"])
def reader(request: pytest.FixtureRequest, linear: LinearReader) -> Reader:
    return LexiconReader() if request.param == "lexicon" else linear


def test_scores_are_between_minus_one_and_one_and_ordered(reader: Reader) -> None:
    scores = reader.scores(HEADLINES)
    assert scores.shape == (4,)
    assert (np.abs(scores) <= 1).all()
    assert scores[0] > scores[1] > scores[2]


def test_a_text_has_the_same_score_whatever_stands_beside_it(reader: Reader) -> None:
    together, alone = reader.scores(HEADLINES), [reader.scores([text])[0] for text in HEADLINES]
    assert together == pytest.approx(alone, abs=1e-9)


def test_no_texts_have_no_scores(reader: Reader) -> None:
    assert len(reader.scores([])) == 0


def test_probabilities_sum_to_one_in_the_order_of_labels(linear: LinearReader) -> None:
    said = linear.probabilities(HEADLINES)
    assert said.sum(axis=1) == pytest.approx(1)
    assert LABELS[int(said[0].argmax())] == "positive" == linear.labels(HEADLINES)[0]
    assert LABELS[int(said[2].argmax())] == "negative"


def test_two_fits_are_equal(linear: LinearReader) -> None:
    again = LinearReader(Settings()).fit(TEXTS, LABELLED)
    assert (again.probabilities(HEADLINES) == linear.probabilities(HEADLINES)).all()


def test_a_saved_model_says_the_same(linear: LinearReader, tmp_path: Path) -> None:
    linear.save(tmp_path, {"file": "mine.csv"})
    again = LinearReader.load(tmp_path)
    assert (again.probabilities(HEADLINES) == linear.probabilities(HEADLINES)).all()
    assert again.settings == linear.settings
    assert json.loads((tmp_path / MANIFEST).read_text())["facts"] == {"file": "mine.csv"}


def _gone(folder: Path) -> None:
    (folder / FILE).unlink()


def _cut(folder: Path) -> None:
    (folder / FILE).write_bytes((folder / FILE).read_bytes()[:200])


def _newer(folder: Path) -> None:
    found = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(found | {"format": 99}))


def _foreign(folder: Path) -> None:
    import skops.io

    skops.io.dump({"words": SimpleNamespace(), "letters": 1, "regression": 2}, folder / FILE)


def _list(folder: Path) -> None:
    (folder / MANIFEST).write_text("[]")


@pytest.mark.parametrize("damage", [_gone, _cut, _newer, _foreign, _list])
def test_a_damaged_model_is_one_clear_error(
    linear: LinearReader, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    linear.save(tmp_path)
    damage(tmp_path)
    with pytest.raises(SentimentError, match="train_sentiment again"):
        LinearReader.load(tmp_path)


def test_an_unfitted_model_says_so() -> None:
    with pytest.raises(SentimentError, match="not fitted"):
        LinearReader().scores(["x"])


@pytest.mark.parametrize(
    ("labels", "said"),
    [(["great"] * 90, "'great' is none of"), (["negative"] * 40 + ["neutral"] * 40 + ["positive"] * 3, "positive")],
)
def test_labels_that_cannot_be_learned_are_refused(labels: list[str], said: str) -> None:
    with pytest.raises(SentimentError, match=said):
        LinearReader().fit(["text"] * len(labels), labels)


def test_the_tone_is_a_mean_and_unknown_without_a_headline() -> None:
    about = np.array([[True, False, True], [True, False, False]])
    said = tone(np.array([0.5, -0.1]), about)
    assert said.count.tolist() == [2, 0, 1]
    assert said.mean[[0, 2]] == pytest.approx([0.2, 0.5])
    assert np.isnan(said.mean[1])


def test_no_headlines_have_no_tone() -> None:
    said = tone(np.empty(0), np.empty((0, 2), dtype=bool))
    assert said.count.tolist() == [0, 0]
    assert np.isnan(said.mean).all()


# ---- FinBERT: the library is not installed here; a stand-in of its documented interface takes its place


def _folder(tmp_path: Path) -> Path:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes(b"{}")
    return tmp_path


class _Auto:
    """`from_pretrained` as documented at huggingface.co/docs/transformers/model_doc/auto."""

    def __init__(self, made: object) -> None:
        self.made, self.asked = made, list[dict[str, Any]]()

    def from_pretrained(self, folder: Path, **options: object) -> object:
        self.asked.append({"folder": folder, **options})
        if isinstance(self.made, Exception):
            raise self.made
        return self.made


class _Model:
    """Answers positive to the first text of a batch, negative to the others; outputs in FinBERT's own order."""

    config = SimpleNamespace(id2label={0: "Positive", 1: "Negative", 2: "Neutral"})

    def eval(self) -> "_Model":
        return self

    def __call__(self, texts: list[str]) -> SimpleNamespace:
        rows = [[5.0, 0.0, 0.0] if place == 0 else [0.0, 5.0, 0.0] for place in range(len(texts))]
        return SimpleNamespace(logits=torch.tensor(rows))


def _stand_in(monkeypatch: pytest.MonkeyPatch, model: object) -> SimpleNamespace:
    tokenizer = _Auto(lambda texts, **options: {"texts": texts})
    library = SimpleNamespace(AutoTokenizer=tokenizer, AutoModelForSequenceClassification=_Auto(model))
    monkeypatch.setitem(sys.modules, "transformers", library)
    return library


def test_finbert_reads_in_batches_and_never_asks_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = _stand_in(monkeypatch, _Model())
    reader = FinbertReader(_folder(tmp_path))
    said = reader.probabilities(["x"] * 40)
    assert said.shape == (40, 3)
    assert said.sum(axis=1) == pytest.approx(1)
    assert [LABELS[place] for place in said.argmax(axis=1)[[0, 1, 32, 33]]] == ["positive", "negative"] * 2
    assert reader.scores(["x", "y"]) == pytest.approx([0.98, -0.98], abs=0.01)
    assert len(reader.scores([])) == 0
    asked = [*library.AutoTokenizer.asked, *library.AutoModelForSequenceClassification.asked]
    assert all(one["local_files_only"] is True for one in asked)


def test_finbert_without_weights_or_library_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SentimentError, match=r"config.json, model.safetensors missing"):
        FinbertReader(tmp_path)
    monkeypatch.setitem(sys.modules, "transformers", None)  # as Python marks a module that cannot be imported
    with pytest.raises(SentimentError, match="needs the transformers library"):
        FinbertReader(_folder(tmp_path))


def test_finbert_files_that_cannot_be_read_are_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(monkeypatch, OSError("header too large"))
    with pytest.raises(SentimentError, match="cannot be read: header too large"):
        FinbertReader(_folder(tmp_path))


def test_a_classifier_of_something_else_is_refused() -> None:
    with pytest.raises(SentimentError, match="bear, bull"):
        order_of({0: "bull", 1: "bear"})
