"""The log of everything scored, one line of JSON each, and the page made of it.

A configuration tried on the first part of a set is a choice; a measurement on its last part is an opening. Both are
lines, so that the number of configurations tried before an opening is counted and not remembered.

The other proofs keep their own records, with their figures, in the folder `results` beside the log; the page lists
their openings as well. `python -m models_ml.evaluation.results` writes it anew.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

CHOICE, OPENING = "choice", "opening"
DIRECTION = "direction"
RECORDS = "results"
DOCS = Path(__file__).parents[2] / "docs"
KEPT: tuple[str, ...] = (
    "n",
    "ties",
    "acc",
    "ci",
    "auc",
    "auc_ci",
    "auc_sd",
    "log_loss",
    "brier_skill",
    "ece",
    "ece_floor",
)
KEPT += ("acc20", "cov20", "acc5", "cov5", "acc_close", "net_payout_20", "net_1bp_20", "turnover")

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Log:
    """The log `results.jsonl` beside the page `results.md` that is made of it."""

    folder: Path

    @property
    def lines(self) -> list[Line]:
        """All lines, oldest first."""
        path = self.folder / "results.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def tried(self, of: str, configuration: str) -> int:
        """Configurations scored on the set so far, this one included."""
        return len({line["configuration"] for line in self.lines if line["of"] == of} | {configuration})

    def add(self, line: Line) -> None:
        """Append a line and write the page anew."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "results.jsonl").open("a") as log:
            log.write(json.dumps(line, sort_keys=True) + "\n")
        self.write()

    def write(self) -> None:
        """Write the page anew."""
        (self.folder / "results.md").write_text(page(self.lines, self.records), encoding="utf-8")

    @property
    def records(self) -> list[Line]:
        """A line for each opening that another proof has on record, by the name of its file."""
        files = sorted((self.folder / RECORDS).glob("*.json"))
        return [line for path in files for line in _on_record(path)]


def renew(record: Path) -> None:
    """Write the page anew of the log whose `results` hold the record just written; other records have no page."""
    log = Log(record.parent.parent)
    if record.parent.name == RECORDS and log.lines:
        log.write()


def _on_record(path: Path) -> list[Line]:
    """Openings of a record; one that only looked at the first part is none."""
    return [
        {
            "kind": path.stem,
            "part": OPENING,
            "at": one["date"],
            "commit": one["commit"],
            "of": one.get("set", one.get("data", f"[{path.stem}]({RECORDS}/{path.stem}.md)")),
            "tried": one.get("tried", one.get("configurations")),
            "note": one.get("note", one.get("what", "")),
        }
        for one in json.loads(path.read_text()).get("openings", [])
        if one.get("opened", True)
    ]


def line_of(
    report: Mapping[str, Any], *, of: str, part: str, configuration: str, at: date, commit: str, note: str
) -> Line:
    """What the log keeps of a report: the row of each forecaster and the comparisons."""
    rows = {"stack": report["stack"], "quorum": report["quorum"], **report["voters"], **report["baselines"]}
    return {
        "kind": DIRECTION,
        "of": of,
        "part": part,
        "configuration": configuration,
        "at": at.isoformat(),
        "commit": commit,
        "note": note,
        "profile": report["set"]["profile"],
        "seeds": report["set"]["seeds"],
        "entry": report["set"]["entry"],
        "tried": report["multiplicity"]["configurations"],
        "rows": {name: {key: row.get(key) for key in KEPT} for name, row in rows.items()},
        "voters": list(report["voters"]),
        "untrained": report["untrained"],
        "strongest": report["strongest_baseline"],
        "paired": {name: report["paired"][name] for name in ("strongest_baseline", "known_baseline", "best_voter")},
        "best_voter": report["best_voter"],
        "correlation": report["error_correlation"]["mean"],
        "left_out": {seat: [row["auc"], row["auc_ci"]] for seat, row in report["leave_one_out"].items()},
        "multiplicity": {name: report["multiplicity"].get(name) for name in ("days", "spa", "deflated_sharpe", "pbo")},
    }


HEAD = """# Results

This page is written by `manage.py evaluate` and its siblings from `results.jsonl`; nobody edits it. How the figures are
made stands in [evaluation.md](evaluation.md). The last 20 % of each set is the test part: it is opened once for a
final configuration, and every opening is a row here, with the number of configurations that had been scored on the set
by then. Choices are made inside the first 80 %. What did not help stays in the list. The other proofs (sentiment, order
book, variance and moves) keep their figures on pages of their own in [results/](results/); their openings are listed
here as well.
"""


def page(lines: Sequence[Line], records: Sequence[Line] = ()) -> str:
    """The page as Markdown: the log's lines, and the openings on record elsewhere."""
    openings = [line for line in lines if line["part"] == OPENING]
    choices = [line for line in lines if line["part"] == CHOICE]
    parts = [HEAD, "## Openings of the last 20 %\n", _summary(openings)]
    newest = {(line["of"], line["profile"], line["entry"]): line for line in openings if line["kind"] == DIRECTION}
    parts += [_detail(line) for line in newest.values()]
    parts += ["### Of the other proofs\n", _others([*openings, *records])]
    parts += ["## Choices inside the first 80 %\n", _summary(choices)]
    parts += ["### Of the other proofs\n", _others(choices)] if any(map(_is_other, choices)) else []
    return "\n".join(parts)


def _is_other(line: Line) -> bool:
    return bool(line["kind"] != DIRECTION)


def _others(lines: Iterable[Line]) -> str:
    """Lines of the proofs whose figures stand on pages of their own, oldest first."""
    found = sorted(filter(_is_other, lines), key=lambda line: str(line["at"]))
    if not found:
        return "None yet.\n"
    rows = [
        (line["at"], f"`{line['commit']}`", f"`{line['kind']}`", line["of"], line["tried"] or "–", line["note"] or "–")
        for line in found
    ]
    return table(("date", "commit", "proof", "set", "configurations tried", "note"), rows)


def _summary(lines: Sequence[Line]) -> str:
    lines = [line for line in lines if not _is_other(line)]
    if not lines:
        return "None yet.\n"
    head = ("date", "commit", "set", "profile", "seeds", "configurations tried", "stack AUC", "strongest baseline")
    rows = [
        (
            line["at"],
            f"`{line['commit']}`",
            line["of"],
            line["profile"],
            line["seeds"],
            line["tried"],
            _number(line["rows"]["stack"]["auc"]),
            f"`{line['strongest']}` {_number(line['rows'][line['strongest']]['auc'])}",
            _difference(line["paired"]["strongest_baseline"]),
            _difference(line["paired"]["known_baseline"]),
            line["note"],
        )
        for line in lines
    ]
    return table((*head, "stack − strongest", "stack − known", "note"), rows)


def _detail(line: Line) -> str:
    """Everything of the newest opening of one set."""
    head: tuple[str, ...] = ("forecaster", "n", "ties", "accuracy", "95 %", "AUC", "95 %", "log loss", "Brier skill")
    head += (
        "ECE (floor)",
        "at 20 % (coverage)",
        "at 5 % (coverage)",
        "close to close",
        "net 20 % at the payout",
        "turnover",
    )
    rows = [
        (
            f"`{name}`",
            row["n"],
            row["ties"],
            _percent(row["acc"]),
            _interval(row["ci"]),
            _number(row["auc"]) + ("" if row.get("auc_sd") is None else f" ± {row['auc_sd']:.4f}"),
            _interval(row["auc_ci"], 4),
            _number(row["log_loss"], 5),
            _percent(row["brier_skill"], 2),
            f"{_number(row['ece'])} ({_number(row['ece_floor'])})",
            f"{_percent(row['acc20'])} ({_percent(row['cov20'])})",
            f"{_percent(row['acc5'])} ({_percent(row['cov5'])})",
            _percent(row["acc_close"]),
            _number(row["net_payout_20"], 3),
            _number(row["turnover"], 2),
        )
        for name, row in line["rows"].items()
    ]
    correlation, more = line["correlation"], line["multiplicity"]
    facts = [
        f"Against the best voter, `{line['best_voter']}`: AUC {_difference(line['paired']['best_voter'])}.",
        f"Mean pairwise correlation of errors: {_number(correlation, 2)}.",
        "Area lost without a voter: "
        + ", ".join(f"`{seat}` {gain:+.4f} {_interval(ci, 4)}" for seat, (gain, ci) in line["left_out"].items())
        + ".",
        f"Over {more['days']} days: superior predictive ability p = {_number(more['spa'], 3)}, deflated Sharpe ratio "
        f"{_number(more['deflated_sharpe'], 3)}, probability of overfitting {_number(more['pbo'], 3)}.",
        *(f"`{seat}` did not vote: {why}." for seat, why in line["untrained"].items()),
    ]
    title = f"### {line['of']}, `{line['profile']}`, entry {line['entry'].replace('_', ' ')}, {line['at']}\n"
    return "\n".join([title, table(head, rows), *(f"* {fact}" for fact in facts), ""])


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def _number(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def _interval(ends: Sequence[float] | None, digits: int = 3) -> str:
    return "–" if ends is None else f"[{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"


def _difference(pair: Mapping[str, Any]) -> str:
    return f"{pair['auc']:+.4f} {_interval(pair['auc_ci'], 4)}"


if __name__ == "__main__":
    Log(DOCS).write()
