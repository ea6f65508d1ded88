"""Measuring the sentiment readers: the split, the figures against hand-worked ones, the command and its record."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from models_ml.agents.sentiment import LABELS, SentimentError
from models_ml.agents.sentiment_linear import Settings
from models_ml.evaluation.openings import remember
from models_ml.evaluation.sentiment import (
    accuracy_and_f1,
    calibration_error,
    elsewhere,
    last_share,
    log_loss,
    measured,
    rank_correlation,
    try_all,
)
from models_ml.evaluation.sentiment_page import page
from models_ml.evaluation.sources import commit_of
from models_ml.sentences import read_sentences
from tests.models_ml.agents.sentences import LABELLED, TEXTS

TRUTH = np.array([0, 0, 1, 1, 2, 2])


def test_the_test_part_is_the_last_share_of_each_label() -> None:
    labels = ["neutral", "positive", "neutral", "neutral", "positive", "positive", "negative", "negative", "negative"]
    train, test = last_share(labels, 1 / 3)
    assert test.tolist() == [3, 5, 8]
    assert sorted([*train, *test]) == list(range(9))
    with pytest.raises(SentimentError, match="between 0 and 1"):
        last_share(labels, 1.0)


def test_accuracy_and_macro_f1_by_hand() -> None:
    accuracy, macro = accuracy_and_f1(np.array([0, 1, 1, 1, 2, 0]), TRUTH)
    assert accuracy == pytest.approx(4 / 6)
    assert macro == pytest.approx(np.mean([2 / 4, 4 / 5, 2 / 3]))
    assert accuracy_and_f1(np.full(6, 1), TRUTH) == pytest.approx((1 / 3, (2 * 2 / 8) / 3))


def test_log_loss_and_calibration_by_hand() -> None:
    said = np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]])
    assert log_loss(said, ["negative", "neutral"]) == pytest.approx(-np.log([0.5, 0.8]).mean())
    sure = np.tile([1.0, 0.0, 0.0], (10, 1))
    assert calibration_error(sure, np.zeros(10, dtype=np.int64)) == 0.0
    assert calibration_error(sure, np.array([0, 1] * 5)) == pytest.approx(0.5)


def test_rank_correlation_takes_equal_values_as_equal() -> None:
    a = np.array([1.0, 2, 3, 4])
    assert rank_correlation(a, a**3) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    assert rank_correlation(np.array([0.0, 0, 1, 1]), np.array([0.0, 0, 5, 5])) == pytest.approx(1)


def test_figures_have_n_and_intervals_and_are_the_same_again() -> None:
    labels = [LABELS[place] for place in TRUTH]
    found = measured(np.array([0, 1, 1, 1, 2, 0]), labels)
    assert found == measured(np.array([0, 1, 1, 1, 2, 0]), labels)
    assert found["n"] == 6
    assert found["accuracy_ci"][0] <= found["accuracy"] <= found["accuracy_ci"][1]
    assert found["by_label"]["positive"] == {"n": 2, "precision": 1.0, "recall": 0.5}
    assert "log_loss" not in found


def test_elsewhere_counts_only_where_both_take_a_side() -> None:
    found = elsewhere(np.array([0.5, -0.5, 0.0, 0.5]), np.array([0.9, 0.9, 0.9, 0.0]))
    assert (found["n"], found["side_n"], found["side_right"], found["takes_a_side"]) == (4, 2, 0.5, 0.75)
    assert elsewhere(np.zeros(3), np.ones(3) * [1, 0.5, 0.2])["side_right"] is None


def test_configurations_are_ranked_by_log_loss() -> None:
    tried = try_all(TEXTS, LABELLED, (Settings(), Settings(0.001, 0.0, masked=False)))
    assert [one.settings for one in tried] == [Settings(), Settings(0.001, 0.0, masked=False)]
    assert tried[0].log_loss < tried[1].log_loss


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    """300 sentences: the made-up ones and their like."""
    path = tmp_path / "made.jsonl"
    rows = [
        {"text": f"{text} ({number})", "label": label}
        for number in range(3)
        for text, label in zip(TEXTS, LABELLED, strict=True)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_the_command_measures_writes_and_logs(sentences: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.csv"
    scores.write_text("text,score\nProfit rises,0.8\nProfit falls,-0.7\nMeeting in May,0\n")
    out, folder = tmp_path / "out.json", tmp_path / "results"
    for note in ("first", "second"):
        call_command(
            "evaluate_sentiment", train=sentences, elsewhere=[scores], out=out, results=folder, note=note,
            stdout=io.StringIO(),
        )  # fmt: skip
    report = json.loads(out.read_text())
    assert (report["data"]["train_n"], report["data"]["test_n"]) == (240, 120)
    assert set(report["methods"]) == {"majority", "lexicon", "tfidf", "linear"}
    assert report["gate"]["reached"]
    assert report["elsewhere"]["scores.csv"]["lexicon"]["n"] == 3
    record = json.loads((folder / "sentiment.json").read_text())
    assert [one["note"] for one in record["openings"]] == ["first", "second"]
    assert record["report"] == report
    assert (folder / "sentiment.md").read_text() == page(record)


def test_two_files_take_the_place_of_a_split(sentences: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    call_command("evaluate_sentiment", train=sentences, test=sentences, out=out, stdout=io.StringIO())
    report = json.loads(out.read_text())
    assert (report["data"]["train_n"], report["data"]["test_n"]) == (360, 360)
    assert report["data"]["split"] == "tested on made.jsonl"


def test_a_missed_gate_fails_the_command_after_its_report(sentences: Path, tmp_path: Path) -> None:
    """Labels that have nothing to do with their sentences: no honest reader reaches the gate on them."""
    mixed = tmp_path / "mixed.jsonl"
    rows = [json.loads(line) for line in sentences.read_text().splitlines()]
    order = np.random.default_rng(5).permutation(len(rows))
    labels = [rows[place]["label"] for place in order]
    mixed.write_text("\n".join(json.dumps(row | {"label": label}) for row, label in zip(rows, labels, strict=True)))
    out = io.StringIO()
    with pytest.raises(CommandError, match="below the gate"):
        call_command("evaluate_sentiment", train=mixed, stdout=out)
    assert "**not reached**" in out.getvalue()


@pytest.mark.parametrize(("split", "said"), [(0.0, "between 0 and 1"), (1.5, "between 0 and 1")])
def test_a_split_that_leaves_nothing_is_refused(sentences: Path, split: float, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("evaluate_sentiment", train=sentences, split=split)


def test_an_opening_names_its_commit(tmp_path: Path) -> None:
    record = remember(tmp_path / "a" / "x.json", {"n": 1}, {"r": 2})
    assert record["openings"][0]["commit"] == commit_of(Path(__file__).parent)
    assert json.loads((tmp_path / "a" / "x.json").read_text()) == record


def test_recorded_sentences_are_read(candor_data: Path) -> None:
    found = read_sentences(candor_data / "sentiment" / "financial_phrasebank_allagree.parquet")
    assert (len(found), found.labels.count("negative")) == (1613, 229)
    assert len(read_sentences(candor_data / "sentiment" / "fiqa_post.parquet").scores) == 575


def test_the_page_of_results_is_that_of_its_record() -> None:
    folder = Path(__file__).parents[3] / "docs" / "results"
    assert (folder / "sentiment.md").read_text() == page(json.loads((folder / "sentiment.json").read_text()))
