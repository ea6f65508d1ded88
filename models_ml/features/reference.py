"""`docs/features.md`, written from the registry: run `python -m models_ml.features.reference` after a change."""

from importlib import import_module
from pathlib import Path

from models_ml.features.cross_asset import CROSS_FEATURES, CROSS_LOOKBACK
from models_ml.features.microstructure import described
from models_ml.features.registry import COLUMNS, FEATURE_GROUPS, LOOKBACK, NO_SOURCE
from models_ml.features.window import Feature
from models_ml.features.words import WORD_FEATURES

PAGE = Path(__file__).parents[2] / "docs" / "features.md"

INTRODUCTION = """# Features

Written from the registry by `python -m models_ml.features.reference`; a test keeps it true.

`manage.py features --instrument BTC/USDT --at 2026-03-02T09:30Z` prints one row of a market with its sources.

{columns} columns from 1-minute candles, none of them in price units. The longest look-back is {lookback} candles: from
so many on, every column of a row is known. *Look-back* counts 1-minute candles, the row's own included; the value is
unknown (NaN) unless every one of them is there (*patient*: unless 5 % of them are missing; *taken together*: unless
every column it is made of is known), and it is the same from any start at least that far back. MTR is the
mean true range of 14 candles, σ the root mean square return of 60 (20 bars on a higher timeframe), bp a basis point.
"""

MICRO = """
## Microstructure

{about}

A second part of the vector (`microstructure.build_micro`), in the order below. A book counts for two minutes, trades
only when the last five minutes were recorded to the second, funding and open interest as last stamped before the row's
close.

| column | unit | formula, source |
|---|---|---|
"""

CROSS = """
## Cross asset

{about}

A part of the vector that needs several instruments on one time axis (`cross_asset.build_cross`), in the order below;
it reads {lookback} candles of each.

| column | unit | formula, source |
|---|---|---|
"""

WORDS = """
## Words

{about}

A part of the vector (`words.build_words`), in the order below. Where headlines, index values and events come from, and
which concern an instrument: [words.md](words.md).

| column | unit | formula, source |
|---|---|---|
"""

ABSENT = """
## No source yet

Asked for and not computed. These are no columns at all: a made-up zero would be learned as a fact.

| name | what it would be |
|---|---|
"""

HEAD = """
## {group}

Group `{key}`: {about}

| column | unit | formula, source | look-back | known at |
|---|---|---|---|---|
"""


def page() -> str:
    """The whole page as Markdown."""
    parts = [INTRODUCTION.format(columns=len(COLUMNS), lookback=LOOKBACK)]
    for group, features in FEATURE_GROUPS.items():
        parts.append(HEAD.format(key=group, group=group.replace("_", " ").capitalize(), about=_about(group)))
        parts.extend(_row(feature) for feature in features)
    parts.append(MICRO.format(about=_about("microstructure")))
    parts.extend(f"| `{name}` | {unit} | {source} |\n" for name, (unit, source) in described().items())
    parts.append(CROSS.format(about=_about("cross_asset"), lookback=CROSS_LOOKBACK))
    parts.extend(f"| `{name}` | {unit} | {source} |\n" for name, (unit, source, _) in CROSS_FEATURES.items())
    parts.append(WORDS.format(about=_about("words")))
    parts.extend(f"| `{name}` | {unit} | {source} |\n" for name, (unit, source) in WORD_FEATURES.items())
    parts.append(ABSENT)
    parts.extend(f"| `{name}` | {text} |\n" for name, text in NO_SOURCE.items())
    return "".join(parts)


def _about(group: str) -> str:
    return (import_module(f"models_ml.features.{group}").__doc__ or "").split("\n\n")[0].replace("\n", " ").strip()


def _row(feature: Feature) -> str:
    manner = ", patient" if feature.holes else ", taken together" if feature.parts else ""
    cells = (f"`{feature.name}`", feature.unit, feature.source, f"{feature.lookback}{manner}", feature.known)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
