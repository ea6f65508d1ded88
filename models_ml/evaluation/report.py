"""The report on a terminal."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

COLUMNS = {
    "n": "n",
    "ties": "ties",
    "acc": "acc",
    "acc_ties_lost": "ties lost",
    "ci": "95 %",
    "balanced": "balanced",
    "mcc": "MCC",
    "auc": "AUC",
    "auc_ci": "95 %",
    "log_loss": "log loss",
    "brier_skill": "Brier skill",
    "ece": "ECE",
    "ece_floor": "floor",
    "slope": "slope",
    "acc20": "acc 20",
    "cov20": "cov 20",
    "acc5": "acc 5",
    "cov5": "cov 5",
}
MONEY = {
    "precision_up": "prec ↑",
    "recall_up": "rec ↑",
    "false_positive_up": "fp ↑",
    "precision_down": "prec ↓",
    "recall_down": "rec ↓",
    "false_positive_down": "fp ↓",
    "net_payout": "payout",
    "net_payout_20": "payout, 20 %",
    "net_0bp": "0 bp",
    "net_1bp": "1 bp",
    "net_2bp": "2 bp",
    "net_5bp": "5 bp",
    "net_1bp_20": "1 bp, 20 %",
    "turnover": "turnover",
    "aurc": "AURC",
    "acc_close": "acc close",
    "cov20_frozen": "cov 20 frozen",
    "cov5_frozen": "cov 5 frozen",
}


def show(report: Mapping[str, Any], console: Console) -> None:
    """Print every table of the report."""
    facts = report["set"]
    console.print(
        f"{len(facts['symbols'])} instruments, {facts['features']} features, entry {facts['entry']}, "
        f"profile {facts['profile']}, seeds {facts['seeds']}"
    )
    for part in ("train", "validation", "late", "test"):
        span = facts[part]
        console.print(f"  {part:10} {span['rows']:>9} rows  {_day(span['from'])} to {_day(span['until'])}")
    rows = {"stack": report["stack"], "quorum": report["quorum"], **report["voters"], **report["baselines"]}
    console.print(_table("figures", COLUMNS, rows))
    console.print(_table("directions, costs, thresholds", MONEY, rows))
    for seat, why in report["untrained"].items():
        console.print(f"{seat} did not vote: {why}")
    _compared(report, console)
    for name in ("volatility", "regime", "instruments"):
        for group, cells in report[name].items():
            console.print(_table(f"{name}: {group}", COLUMNS, cells))


def _compared(report: Mapping[str, Any], console: Console) -> None:
    pairs = Table(title="stack − other, paired over days")
    for head in ("other", "n", "AUC", "95 %", "accuracy", "95 %"):
        pairs.add_column(head)
    for name, pair in report["paired"]["each"].items():
        pairs.add_row(name, str(pair["n"]), *(_cell(pair[key]) for key in ("auc", "auc_ci", "acc", "acc_ci")))
    console.print(pairs)
    apart = Table(title="AUC that the stack loses without")
    for head in ("voter", "AUC", "95 %", "weight"):
        apart.add_column(head)
    for seat, row in report["leave_one_out"].items():
        apart.add_row(seat, _cell(row["auc"]), _cell(row["auc_ci"]), _cell(report["stack"]["weights"][seat]))
    console.print(apart)
    errors = Table(title=f"correlation of errors, mean {_cell(report['error_correlation']['mean'])}")
    for head in ("", *report["error_correlation"]["seats"]):
        errors.add_column(head)
    for seat, row in zip(report["error_correlation"]["seats"], report["error_correlation"]["table"], strict=True):
        errors.add_row(seat, *(_cell(value) for value in row))
    console.print(errors)
    more = report["multiplicity"]
    console.print(
        f"strongest baseline {report['strongest_baseline']}; over {more['days']} days and {more['configurations']} "
        f"configurations: SPA p {_cell(more.get('spa'))}, better {', '.join(more.get('better', [])) or 'none'}, "
        f"deflated Sharpe {_cell(more['deflated_sharpe'])}, PBO {_cell(more['pbo'])}"
    )


def _table(title: str, columns: Mapping[str, str], rows: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(title=title)
    for head in ("", *columns.values()):
        table.add_column(head, no_wrap=True)
    for name, row in rows.items():
        table.add_row(name, *(_cell(row.get(key)) for key in columns))
    return table


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, tuple | list):
        return " ".join(f"{float(end):.4f}" for end in value)
    return str(value) if isinstance(value, int | str) else f"{float(value):.4f}"  # type: ignore[arg-type]  # a figure


def _day(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
