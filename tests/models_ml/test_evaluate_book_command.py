"""`manage.py evaluate_book`: files in, a table and its log out; no database."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from models_ml.evaluation.book_quotes import DAY_S
from tests.models_ml.evaluation.quotes import START, told, write

SIZES = ("--every", "5", "--seeds", "1", "--profile", "book")


def files(folder: Path) -> str:
    for name, seed in (("X", 0), ("Y", 10)):
        days = [told(20, seed=seed + day, start=START + day * DAY_S) for day in range(3)]
        write(days, folder / f"{name}.parquet")
    return str(folder / "*.parquet")


def said(*words: str) -> str:
    out = StringIO()
    call_command("evaluate_book", *words, stdout=out)
    return out.getvalue()


def test_a_table_is_printed_and_kept_with_every_opening(tmp_path: Path) -> None:
    found, kept = files(tmp_path), tmp_path / "book.json"
    words = ("--train", found, "--split", *SIZES, "--horizons", "next", "--json", str(kept))
    text = said(*words, "--note", "first")
    assert "cnn_lstm_book" in text
    assert "voter − boosting" in text
    said(*words, "--tried", "4", "--note", "second")
    report = json.loads(kept.read_text())
    assert [row["what"] for row in report["openings"]] == ["first", "second"]
    assert report["openings"][1]["configurations"] == 4
    assert set(report["models"]) == {"imbalance", "imbalance_odd", "boosting", "boosting_wide", "cnn_lstm_book"}
    assert set(report["models"]["imbalance"]) == {"next+0s", "next+1s"}
    assert set(report["models"]["imbalance"]["next+1s"]) == {"all", "X", "Y"}
    assert "next+1s" in report["openings"][0]["gains"]["boosting"]
    page = kept.with_suffix(".md").read_text()
    assert "| next+1s | all |" in page
    assert "second |" in page


def test_days_left_out_are_not_opened(tmp_path: Path) -> None:
    found, kept = files(tmp_path), tmp_path / "book.json"
    before = "2023-11-17"
    said("--train", found, "--split", *SIZES, "--before", before, "--horizons", "next", "--json", str(kept))
    assert max(json.loads(kept.read_text())["from"].values()) < before


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--split", "--horizons", "5s"), "next, 10s, 60s"),
        (("--split", "--seeds", "0"), "above 0"),
        (("--split", "--before", "soon"), "give a day"),
        (("--split", "--profile", "huge"), "unknown profile"),
        (("--test", "nothing-*.parquet"), "no file matches"),
    ],
)
def test_words_that_say_nothing_are_named(tmp_path: Path, words: tuple[str, ...], error: str) -> None:
    with pytest.raises(CommandError, match=error):
        said("--train", files(tmp_path), *words)


def test_one_of_test_and_split_is_needed(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="one of the arguments"):
        said("--train", files(tmp_path))
