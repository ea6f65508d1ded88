"""The log counts what was tried, and its page is made of it alone."""

import json
from datetime import date
from pathlib import Path
from typing import Any

from models_ml.evaluation.openings import remember
from models_ml.evaluation.results import CHOICE, DOCS, KEPT, OPENING, Log, line_of, page, renew, table

ROW = dict.fromkeys(KEPT, None) | {"n": 100, "ties": 2, "acc": 0.53, "auc": 0.54, "ci": [0.5, 0.56], "auc_sd": 0.001}
PAIR = {"auc": 0.0123, "auc_ci": [0.001, 0.02], "acc": 0.01, "acc_ci": [0.0, 0.02]}


def report() -> dict[str, Any]:
    """The shape of a report, as `measure` gives it."""
    return {
        "set": {"profile": "quick", "seeds": 2, "entry": "next_open"},
        "stack": dict(ROW, more="left out"),
        "quorum": dict.fromkeys(KEPT, None) | {"n": 0, "ties": 0},
        "voters": {"xgb": ROW},
        "untrained": {"cnn_lstm_book": "no book"},
        "baselines": {"last_sign": ROW, "known_baseline": ROW},
        "strongest_baseline": "last_sign",
        "best_voter": "xgb",
        "paired": {"strongest_baseline": PAIR, "known_baseline": PAIR, "best_voter": PAIR, "each": {}},
        "error_correlation": {"mean": None},
        "leave_one_out": {"xgb": PAIR},
        "multiplicity": {"configurations": 3, "days": 5, "deflated_sharpe": None, "pbo": None},
    }


def line(part: str, configuration: str = "a", of: str = "Set", note: str = "") -> dict[str, Any]:
    day = date(2026, 1, 2)
    return line_of(report(), of=of, part=part, configuration=configuration, at=day, commit="abc", note=note)


def test_configurations_are_counted_once_and_for_their_set(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    assert log.lines == []
    assert log.tried("Set", "a") == 1
    for part, configuration in ((CHOICE, "a"), (CHOICE, "b"), (CHOICE, "b"), (OPENING, "b")):
        log.add(line(part, configuration))
    log.add(line(CHOICE, "c", of="Other"))
    assert log.tried("Set", "b") == 2
    assert log.tried("Set", "new") == 3
    assert log.tried("Other", "c") == 1
    assert (tmp_path / "log" / "results.md").read_text() == page(log.lines)


def test_the_page_has_openings_choices_and_the_newest_opening_in_full() -> None:
    text = page([line(CHOICE, note="more trees: no gain"), line(OPENING, note="first"), line(OPENING, note="final")])
    openings, choices = text.index("## Openings"), text.index("## Choices")
    assert openings < text.index("| final |") < choices < text.index("more trees: no gain")
    assert text.count("### Set") == 1
    assert "+0.0123 [0.0010, 0.0200]" in text
    assert "0.5400 ± 0.0010" in text
    assert "| `quorum` | 0 | 0 | – |" in text
    assert "`cnn_lstm_book` did not vote: no book." in text
    assert "more" not in line(OPENING)["rows"]["stack"]


def test_an_empty_log_says_so() -> None:
    assert page([]).count("None yet.") == 3
    assert table(("a", "b"), [(1, 2)]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"


# ---- the other proofs


def records(folder: Path) -> None:
    """Openings as three proofs keep them."""
    book = {"date": "2026-01-03 10:00", "commit": "b00c", "configurations": 54, "what": "wider trunk", "gains": {}}
    moves = {"date": "2026-01-01", "commit": "0a0e", "set": "Coins 2025", "tried": 20, "opened": True}
    (folder / "results").mkdir()
    (folder / "results" / "book.json").write_text(json.dumps({"openings": [book]}))
    inside = moves | {"set": "Coins 2023", "opened": False}
    (folder / "results" / "volatility.json").write_text(json.dumps({"openings": [moves, inside]}))
    (folder / "results" / "figures.json").write_text("{}")


def test_every_opening_of_every_proof_is_a_row(tmp_path: Path) -> None:
    log = Log(tmp_path)
    records(tmp_path)
    log.add(line(OPENING, note="of the direction"))
    log.add(
        {"kind": "regime", "part": OPENING, "at": "2026-01-02", "commit": "c0de", "of": "Set", "tried": 4, "note": ""}
    )
    text = (tmp_path / "results.md").read_text()
    assert text == page(log.lines, log.records)
    rows = [
        "| 2026-01-01 | `0a0e` | `volatility` | Coins 2025 | 20 | – |",
        "| 2026-01-02 | `c0de` | `regime` | Set | 4 | – |",
        "| 2026-01-03 10:00 | `b00c` | `book` | [book](results/book.md) | 54 | wider trunk |",
    ]
    assert "\n".join(rows) in text, "oldest first"
    assert text.index("of the direction") < text.index(rows[0]) < text.index("## Choices")
    assert "Coins 2023" not in text, "it stayed inside the first part"


def test_a_choice_of_another_proof_stands_among_the_choices(tmp_path: Path) -> None:
    entry = {
        "kind": "regime",
        "part": CHOICE,
        "at": "2026-01-02",
        "commit": "c0de",
        "of": "Set",
        "tried": 4,
        "note": "n",
    }
    text = page([entry])
    assert text.index("## Choices") < text.index("| 2026-01-02 | `c0de` | `regime` | Set | 4 | n |")


def test_a_proof_that_opens_its_test_part_renews_the_page(tmp_path: Path) -> None:
    log = Log(tmp_path)
    opening = {"data": "sentences.csv", "configurations": 28, "note": "more words"}
    remember(tmp_path / "results" / "sentiment.json", opening, {})
    assert not (tmp_path / "results.md").exists(), "no log, no page"
    log.add(line(CHOICE))
    remember(tmp_path / "results" / "sentiment.json", opening | {"note": "fewer words"}, {})
    text = (tmp_path / "results.md").read_text()
    assert "| sentences.csv | 28 | more words |" in text
    assert "| sentences.csv | 28 | fewer words |" in text
    (tmp_path / "elsewhere.json").write_text("{}")
    renew(tmp_path / "elsewhere.json")
    assert (tmp_path / "results.md").read_text() == text


def test_the_page_is_that_of_the_log_and_the_records() -> None:
    log = Log(DOCS)
    assert (DOCS / "results.md").read_text() == page(log.lines, log.records)
