"""The record of `evaluate_sentiment` as a page of Markdown."""

from collections.abc import Iterator
from typing import Any

NAMES = {
    "majority": "always the commonest label",
    "lexicon": "shipped lexicon, no training",
    "tfidf": "TF-IDF + logistic",
    "linear": "TF-IDF + lexicon + logistic",
}
INTRODUCTION = """# Sentiment: what the readers are worth

Written by `manage.py evaluate_sentiment --results docs/results`; nothing here is typed by hand.

Sentences are parted by label and in the file's order, which is harder than a random split: near copies stand side by
side. Configurations are chosen in the same way inside the training part (learned from its first half and checked on
the second, from its first two thirds and checked on the last) by log loss; the test part is read once for a
configuration, and every reading is a row below. The lexicon was written with the training part's errors in sight, so
figures inside that part flatter it; the test part's were never looked at one by one. Intervals are 95 % bootstrap
intervals over sentences. The fitted model is thrown away.
"""


def page(record: dict[str, Any], *, heading: bool = True) -> str:
    """Tables of the newest report, and of all openings."""
    return "\n".join([INTRODUCTION] * heading + [*_tables(record["report"]), *_openings(record["openings"])]) + "\n"


def _tables(report: dict[str, Any]) -> Iterator[str]:
    data, gate = report["data"], report["gate"]
    yield f"## {data['name']}\n"
    yield f"{data['train_n']} sentences to learn from, {data['test_n']} to test on: {data['split']}."
    yield f"sha256 of the file: `{data['sha256'][:16]}…`.\n"
    yield "| reader | n | accuracy | 95 % | macro-F1 | 95 % | log loss | ECE |\n|---|---|---|---|---|---|---|---|"
    yield from (_row(NAMES[key], figures) for key, figures in report["methods"].items())
    reached = "reached" if gate["reached"] else "**not reached**"
    yield f"\nGate of the linear reader: {_percent(gate['accuracy'])} and {_percent(gate['macro_f1'])}: {reached}.\n"
    yield "| reader | label | n | precision | recall |\n|---|---|---|---|---|"
    for key in ("lexicon", "linear"):
        for label, one in report["methods"][key]["by_label"].items():
            yield f"| {NAMES[key]} | {label} | {one['n']} | {_percent(one['precision'])} | {_percent(one['recall'])} |"
    yield from _configurations(report)
    yield from _elsewhere(report["elsewhere"])


def _row(name: str, figures: dict[str, Any]) -> str:
    spans = [" to ".join(_percent(end) for end in figures[key]) for key in ("accuracy_ci", "macro_f1_ci")]
    loss, ece = (f"{figures[key]:.3f}" if key in figures else "" for key in ("log_loss", "ece"))
    return (
        f"| {name} | {figures['n']} | {_percent(figures['accuracy'])} | {spans[0]} | {_percent(figures['macro_f1'])}"
        f" | {spans[1]} | {loss} | {ece} |"
    )


def _configurations(report: dict[str, Any]) -> Iterator[str]:
    yield f"\n## Configurations tried\n\n{len(report['tried'])}, two steps each inside the training part, means.\n"
    yield "| C | weight of the lexicon | masked | log loss | accuracy | macro-F1 |\n|---|---|---|---|---|---|"
    for one in report["tried"]:
        yield (
            f"| {one['c']:g} | {one['lexicon']:g} | {'yes' if one['masked'] else 'no'} | {one['log_loss']:.4f}"
            f" | {_percent(one['accuracy'])}"
            f" | {_percent(one['macro_f1'])} |"
        )


def _elsewhere(sets: dict[str, Any]) -> Iterator[str]:
    if not sets:
        return
    yield "\n## Elsewhere\n\nSets of another origin, with scores from −1 to 1, that nothing was chosen or learned on.\n"
    yield "| set | reader | n | rank correlation | takes a side | side right | of n |\n|---|---|---|---|---|---|---|"
    for name, methods in sets.items():
        for key, one in methods.items():
            tied = "–" if one["rank_correlation"] is None else f"{one['rank_correlation']:.3f}"
            yield (
                f"| {name} | {NAMES[key]} | {one['n']} | {tied}"
                f" | {_percent(one['takes_a_side'])} | {_percent(one['side_right'])} | {one['side_n']} |"
            )


def _openings(openings: list[dict[str, Any]]) -> Iterator[str]:
    if not openings:
        return
    yield "\n## Openings of the test part\n"
    yield "| date | commit | data | configurations | n | accuracy | macro-F1 | what was new |"
    yield "|---|---|---|---|---|---|---|---|"
    for one in openings:
        yield (
            f"| {one['date']} | `{one['commit']}` | {one['data']} | {one['configurations']} | {one['n']}"
            f" | {_percent(one['accuracy'])} | {_percent(one['macro_f1'])} | {one['note']} |"
        )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}".replace("%", " %")
