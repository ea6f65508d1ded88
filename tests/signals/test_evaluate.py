"""`manage.py evaluate` on small generated files: a planted signal is found, and nothing where there is nothing."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from tests.models_ml.evaluation.recordings import DAY, shuffled, walk, write

REVERSAL = 0.4
BEST = 0.5 + np.arcsin(REVERSAL) / np.pi
"""Accuracy of the sign that leans against the last body, where the next one does by this much."""
ASKED = (
    "n",
    "ties",
    "acc",
    "auc",
    "log_loss",
    "brier_skill",
    "ece",
    "ece_floor",
    "acc20",
    "acc5",
    "cov20",
    "cov5",
    "ci",
)
BASELINES = {
    "train_majority",
    "always_up",
    "buy_and_hold",
    "last_sign",
    "anti_last_sign",
    "reversal_20",
    "sma_10_50",
    "logistic_five_returns",
    "default_boosting",
    "known_baseline",
    "simple_mean",
    "weighted_mean",
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

Report = dict[str, Any]


def evaluate(folder: Path, *extra: str, lanes: int = 0) -> tuple[Report, str]:
    """Run it on every file of the folder, the trees voting; the report and what was printed."""
    out = StringIO()
    words = ["--train", str(folder / "*.parquet"), "--profile", "quick", "--json", str(folder / "report.json")]
    words += [
        "--results",
        str(folder / "log"),
        "--work",
        str(folder / "work"),
        "--voters",
        "xgb,random_forest",
        "--lanes",
        str(lanes),
    ]
    call_command("evaluate", *words, *extra, stdout=out)
    return json.loads((folder / "report.json").read_text()), out.getvalue()


def recordings(folder: Path, *, mixed: bool = False, world: int = 0) -> Path:
    """Two instruments over three days that lean against themselves; `mixed` puts their minutes into another order."""
    folder.mkdir(exist_ok=True)
    for number, symbol in enumerate(("BTCUSDT", "ETHUSDT")):
        candles = walk(3 * DAY, seed=number + 10 * world, reversal=REVERSAL, tick=0.01)
        write(folder, symbol, shuffled(candles, 100 * world + number) if mixed else candles)
    return folder


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, str, Path]:
    folder = recordings(tmp_path_factory.mktemp("planted"))
    return *evaluate(folder), folder


def test_a_planted_signal_is_found_at_its_strength(planted: tuple[Report, str, Path]) -> None:
    report, _, _ = planted
    error = 0.5 / np.sqrt(report["stack"]["n"])
    assert abs(report["stack"]["acc"] - BEST) < 2 * error + 0.01
    assert report["stack"]["auc"] > 0.6
    assert report["stack"]["ece"] < report["stack"]["ece_floor"] + 0.03
    assert report["quorum"]["acc"] is None or report["quorum"]["n"] > 0
    assert report["baselines"]["anti_last_sign"]["acc"] > 0.6
    assert report["baselines"]["last_sign"]["acc"] < 0.4


def test_the_report_has_every_figure(planted: tuple[Report, str, Path]) -> None:
    report, _, _ = planted
    assert set(report["voters"]) == {"xgb", "random_forest"}
    assert set(report["baselines"]) == BASELINES
    for row in (report["stack"], report["quorum"], *report["voters"].values(), *report["baselines"].values()):
        assert set(ASKED) <= set(row)
    assert report["error_correlation"]["seats"] == ["xgb", "random_forest"]
    assert set(report["leave_one_out"]) == {"xgb", "random_forest"}
    assert set(report["volatility"]) == {"low", "middle", "high"}
    assert set(report["regime"]) == {"ranging", "mixed", "trending"}
    assert set(report["volatility"]["low"]) == BASELINES | {"stack", "quorum", "xgb", "random_forest"}
    assert report["paired"]["strongest_baseline"] == report["paired"]["each"][report["strongest_baseline"]]
    test = report["set"]["test"]
    assert report["stack"]["n"] == test["rows"] - 2  # the last minute of each instrument has no outcome
    assert report["stack"]["ties"] > 0


def test_the_terminal_gets_the_tables(planted: tuple[Report, str, Path]) -> None:
    _, printed, _ = planted
    for word in ("stack", "quorum", "known_baseline", "Brier skill", "volatility: high", "regime: trending", "SPA"):
        assert word in printed


def test_every_opening_is_a_row_of_the_log(planted: tuple[Report, str, Path]) -> None:
    report, _, folder = planted
    lines = [json.loads(line) for line in (folder / "log" / "results.jsonl").read_text().splitlines()]
    assert [line["part"] for line in lines] == ["opening"]
    assert lines[0]["tried"] == 1
    assert lines[0]["rows"]["stack"]["auc"] == report["stack"]["auc"]
    page = (folder / "log" / "results.md").read_text()
    assert "Openings of the last 20 %" in page
    assert f"{report['stack']['auc']:.4f}" in page


def test_what_is_done_is_not_done_again_and_equal_seeds_are_equal(planted: tuple[Report, str, Path]) -> None:
    report, _, folder = planted
    votes = sorted((folder / "work").rglob("xgb.npz"))
    assert votes
    stamps = [path.stat().st_mtime_ns for path in votes]
    again, _ = evaluate(folder, "--results", "")
    assert again == report
    assert [path.stat().st_mtime_ns for path in votes] == stamps


def test_mixed_minutes_score_one_half(tmp_path: Path) -> None:
    reports = [
        evaluate(recordings(tmp_path / str(world), mixed=True, world=world), "--within", "0.9", "--note", "control")[0]
        for world in (1, 2, 3)
    ]
    moved = sum(report["stack"]["n"] - report["stack"]["ties"] for report in reports)
    for rows in zip(*(_judged(report) for report in reports), strict=True):
        assert abs(np.mean(rows) - 0.5) < 2 * 0.5 / np.sqrt(moved)
    page = (tmp_path / "1" / "log" / "results.md").read_text()
    assert page.index("control") > page.index("Choices inside the first 80 %")


def _judged(report: Report) -> list[float]:
    """Accuracies of the stack, the voters and the known baseline."""
    rows = (report["stack"], *report["voters"].values(), report["baselines"]["known_baseline"])
    return [row["acc"] for row in rows]


def test_processes_and_seeds(tmp_path: Path) -> None:
    folder = recordings(tmp_path)
    report, printed = evaluate(folder, "--seeds", "2", "--voters", "xgb,cnn_lstm_book", lanes=2)
    assert report["stack"]["auc_sd"] >= 0
    assert "cnn_lstm_book" in report["untrained"]
    assert "did not vote" in printed
    assert len(report["voters"]["xgb"]["fits"]) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--train", "nothing*.parquet"], "--train nothing"),
        (["--voters", "nobody"], "unknown voter"),
        (["--voters", "grok"], "votes live only"),
        (["--seeds", "0"], "--seeds"),
        (["--tried", "-1"], "--tried"),
        (["--split", "1.5"], "--split"),
    ],
)
def test_bad_requests_are_told(tmp_path: Path, words: list[str], message: str) -> None:
    write(tmp_path, "BTCUSDT", walk(400))
    with pytest.raises(CommandError, match=message):
        evaluate(tmp_path, *words)
