"""Labelled sentences made up for tests: patterns filled with names and figures, 40 of each label."""

from itertools import islice, product

NAMES = ("Alder", "Birch", "Cedar", "Elm", "Fir", "Hazel", "Linden", "Maple")
WHAT = {
    "positive": ("profit rose to EUR {n} mn", "sales grew by {n} %", "orders climbed to {n}", "margin improved",
                 "demand is strong"),
    "negative": ("profit fell to EUR {n} mn", "sales declined by {n} %", "it slipped to a loss of {n} mn",
                 "it issued a profit warning", "demand is weak"),
    "neutral": ("the meeting is on {n} May", "it has {n} shops", "the office is in Turku", "it makes paper machines",
                "the board has {n} members"),
}  # fmt: skip


def _sentences(label: str) -> list[str]:
    pairs = islice(product(WHAT[label], NAMES), 40)
    return [f"{name}: {what.format(n=number + 3)}" for number, (what, name) in enumerate(pairs)]


TEXTS = [text for label in WHAT for text in _sentences(label)]
LABELLED = [label for label in WHAT for _ in _sentences(label)]
