"""The table of the order-book voter as text, and the log of how often the test part was opened."""

import json
from pathlib import Path
from typing import Any

from models_ml.evaluation.book_figures import BLOCK_S, DRAWS, Figures
from models_ml.evaluation.results import renew

COLUMNS = ("n", "ties", "acc", "auc", "auc_sd", "ci", "log_loss", "ece", "ece_floor", "acc20", "cov20", "acc5", "cov5")
WHOLE = "all"
NOTE = f"""Outcomes are moves of the mid from the entry on, which is zero or one second after the decision. A mid that
did not move is a tie: counted in `n`, left out of the other figures. Figures are means over the seeds; `auc_sd` is the
spread between them. Intervals are 95 %, {DRAWS:,} draws of {BLOCK_S // 60}-minute blocks of the test part, all
instruments of a block together: one test day says nothing about the spread between days. Thresholds for 20 and 5 %
coverage are those of the choosing part."""


def keep(report: dict[str, Any], path: Path, opening: dict[str, Any]) -> None:
    """Write the report as JSON and beside it as Markdown; earlier openings of the same file stay on record."""
    earlier = json.loads(path.read_text())["openings"] if path.exists() else []
    whole = report | {"openings": [*earlier, opening | {"gains": gains(report)}]}
    path.write_text(json.dumps(whole, indent=1) + "\n")
    path.with_suffix(".md").write_text(markdown(whole))
    renew(path)


def markdown(report: dict[str, Any]) -> str:
    """The whole report as a page."""
    parts = [
        "# The order-book voter\n",
        "Written by `manage.py evaluate_book`; do not edit.\n",
        _protocol(report),
        NOTE + "\n",
        "## What the voter has more\n",
        *(_difference(name, table) for name, table in report["voter_less"].items()),
        "## Every model\n",
        *(_model(name, table) for name, table in report["models"].items()),
        "## Openings of the test part\n",
        _openings(report["openings"]),
    ]
    return "\n".join(parts)


def lines(report: dict[str, Any]) -> list[str]:
    """The pooled figures for a terminal."""
    names = ("n", "ties", "acc", "auc", "ci", "log_loss", "ece", "ece_floor")
    out = [f"{'model':24}{'target':10}" + "".join(f"{name:>{WIDE.get(name, 10)}}" for name in names)]
    for model, table in report["models"].items():
        for target, groups in table.items():
            cells = (f"{_cell(groups[WHOLE], name):>{WIDE.get(name, 10)}}" for name in names)
            out.append(f"{model:24}{target:10}" + "".join(cells))
    for model, table in report["voter_less"].items():
        for target, groups in table.items():
            row = groups[WHOLE]
            area = f"auc {_signed(row, 'auc')} ({_range(row, 'auc_ci')})"
            loss = f"log loss {_signed(row, 'log_loss')} ({_range(row, 'log_loss_ci')})"
            out.append(f"{'voter − ' + model:24}{target:10}{area}   {loss}")
    return out


WIDE = {"ci": 18}


def _protocol(report: dict[str, Any]) -> str:
    rows = "\n".join(f"| {part} | {report['from'][part]} | {report['rows'][part]:,} |" for part in report["rows"])
    head = (
        f"Instruments: {', '.join(report['instruments'])}. Seeds: {report['seeds']}. Profile: `{report['profile']}`.\n"
    )
    return f"{head}\n| part | from (UTC) | rows |\n|---|---|---|\n{rows}\n"


def _difference(name: str, table: dict[str, dict[str, Figures]]) -> str:
    head = f"Voter − {name}:\n\n| target | instrument | n | AUC | 95 % | log loss | 95 % |\n|{'---|' * 7}\n"
    rows = [
        f"| {target} | {group} | {row['n']} | {_signed(row, 'auc')} | {_range(row, 'auc_ci')} "
        f"| {_signed(row, 'log_loss')} | {_range(row, 'log_loss_ci')} |"
        for target, groups in table.items()
        for group, row in groups.items()
    ]
    return head + "\n".join(rows) + "\n"


def _model(name: str, table: dict[str, dict[str, Figures]]) -> str:
    head = f"`{name}`:\n\n| target | instrument | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 2)}\n"
    rows = [
        f"| {target} | {group} | {' | '.join(_cell(row, column) for column in COLUMNS)} |"
        for target, groups in table.items()
        for group, row in groups.items()
    ]
    return head + "\n".join(rows) + "\n"


def _openings(openings: list[dict[str, Any]]) -> str:
    head = f"| date | commit | tried before | what | voter − | target | AUC, 95 % |\n|{'---|' * 7}\n"
    rows = [
        f"| {row['date']} | `{row['commit']}` | {row['configurations']} | {row['what']} | {name} | {target} | {found} |"
        for row in openings
        for name, table in row["gains"].items()
        for target, found in table.items()
    ]
    return head + "\n".join(rows) + "\n"


def gains(report: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Baseline → target → pooled difference of the area, with its interval: what an opening showed."""
    return {
        name: {
            target: f"{_signed(row[WHOLE], 'auc')} ({_range(row[WHOLE], 'auc_ci')})" for target, row in table.items()
        }
        for name, table in report["voter_less"].items()
    }


def _cell(row: Figures, column: str) -> str:
    value = row.get(column)
    if value is None:
        return "–"
    if isinstance(value, list):
        return "–".join(f"{edge:.4f}" for edge in value)
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def _signed(row: Figures, column: str) -> str:
    value = row.get(column)
    return f"{value:+.4f}" if isinstance(value, float) else "–"


def _range(row: Figures, column: str) -> str:
    value = row.get(column)
    return f"{value[0]:+.4f} .. {value[1]:+.4f}" if isinstance(value, list) else "–"
