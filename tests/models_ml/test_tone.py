"""Which reader reads, what it remembers, and the command that trains one."""

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from models_ml import tone
from models_ml.agents.sentiment import MANIFEST
from tests.models_ml.agents.sentences import LABELLED, TEXTS


@pytest.fixture(autouse=True)
def artifacts(settings: Settings, tmp_path: Path) -> Path:
    settings.ARTIFACTS_DIR = tmp_path / "artifacts"
    settings.SENTIMENT_READER, settings.SENTIMENT_FOLDER = "auto", ""
    return tmp_path


def labelled(folder: Path) -> Path:
    path = folder / "mine.jsonl"
    rows = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELLED, strict=True)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def trained(folder: Path) -> str:
    out = io.StringIO()
    call_command("train_sentiment", str(labelled(folder)), stdout=out)
    return out.getvalue()


def test_the_lexicon_reads_until_a_model_was_trained(artifacts: Path) -> None:
    assert tone.reader().key == "lexicon"
    assert "trained on 120 sentences of mine.jsonl" in trained(artifacts)
    assert tone.reader().key == "linear"
    facts = json.loads((tone.linear_folder() / MANIFEST).read_text())["facts"]
    assert (facts["file"], facts["n"]) == ("mine.jsonl", 120)
    assert len(facts["sha256"]) == 64


def test_training_again_takes_the_place_of_the_old_model(artifacts: Path) -> None:
    trained(artifacts)
    first = tone.reader()
    trained(artifacts)
    assert tone.reader() is not first
    assert [path.name for path in tone.linear_folder().parent.iterdir()] == ["sentiment"]


def test_an_operator_chooses_who_reads(settings: Settings, artifacts: Path) -> None:
    trained(artifacts)
    settings.SENTIMENT_READER = "lexicon"
    assert tone.reader().key == "lexicon"


@pytest.mark.parametrize("wanted", ["linear", "finbert"])
def test_a_reader_that_cannot_be_used_leaves_it_to_the_lexicon(settings: Settings, wanted: str) -> None:
    settings.SENTIMENT_READER = wanted
    assert tone.reader().key == "lexicon"


def test_a_damaged_model_leaves_it_to_the_lexicon(artifacts: Path) -> None:
    trained(artifacts)
    (tone.linear_folder() / "sentiment.skops").write_bytes(b"x")
    (tone.linear_folder() / MANIFEST).touch()
    assert tone.reader().key in {"lexicon", "linear"}
    (tone.linear_folder() / MANIFEST).write_text("{}")
    assert tone.reader().key == "lexicon"


def test_scores_come_back_under_their_keys_and_are_those_of_the_reader() -> None:
    texts = {7: "Profit rises", 3: "Profit falls", 9: "Profit rises"}
    found = tone.scores_of(texts)
    assert found == tone.scores_of(texts)
    assert found[7] == found[9] == pytest.approx(tone.reader().scores(["Profit rises"])[0])
    assert found[7] > 0 > found[3]
    assert tone.scores_of({}) == {}


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("gone.csv", None, "no such file"),
        ("a.txt", "x", "use a .parquet, .csv or .jsonl"),
        ("a.jsonl", "{", "not a readable jsonl file"),
        ("a.jsonl", "[1]", "not a readable jsonl file"),
        ("a.jsonl", "", "no sentences"),
        ("a.jsonl", '{"text": "", "label": "neutral"}', "row 1: no text"),
        ("a.jsonl", '{"text": "x", "label": "great"}', "label 'great' is none of"),
        ("a.jsonl", '{"text": "x"}', "neither a label nor a score"),
        ("a.jsonl", '{"text": "x", "score": 3}', "score 3 is not between"),
        ("a.csv", "text,score\nx,0.5\n", "sentences with labels are needed"),
        ("a.csv", "text,label\nx,neutral\n", "fewer than 30 negative"),
        ("a.jsonl", '{"text": "x", "label": "neutral"}\n{"text": "y", "score": 0.1}', "some rows have a label"),
        ("a.parquet", "x", "not a readable parquet file"),
    ],
)
def test_sentences_that_cannot_be_learned_from_are_told(
    artifacts: Path, name: str, body: str | None, said: str
) -> None:
    path = artifacts / name
    if body is not None:
        path.write_text(body)
    with pytest.raises(CommandError, match=said):
        call_command("train_sentiment", str(path))
    assert not tone.linear_folder().exists()
