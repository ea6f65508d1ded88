"""Prompts from versioned templates: the same snapshot and template make the same bytes, and so the same hash."""

import hashlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from string import Template

from models_ml.voters.llm.facts import Minute, as_text, facts_of

TEMPLATES = Path(__file__).with_name("templates")
REPAIR = "repair_v1"
"""A template is never edited: a change is a new file with the next number, so that a stored version means its text."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent: instructions, facts between their delimiters, and in a second attempt what was wrong."""

    version: str
    system: str
    facts: str
    repair: str = ""

    @property
    def user(self) -> str:
        """The message that carries the data."""
        return f"<facts>\n{self.facts}\n</facts>" + (f"\n\n{self.repair}" if self.repair else "")

    @property
    def hash(self) -> str:
        """sha256 over everything that is sent, the same for both attempts: the question, not its repair."""
        return hashlib.sha256("\0".join((self.version, self.system, self.facts)).encode()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes sent: no tokenizer makes more tokens of them."""
        return len(self.system.encode()) + len(self.user.encode())

    def again(self, complaint: str) -> "Prompt":
        """The second attempt. The answer that failed is not sent back: it may be anything."""
        return replace(self, repair=Template(_template(REPAIR)).substitute(complaint=complaint[:200]))


def prompt_of(minute: Minute, version: str, candles: int) -> Prompt:
    """The prompt about one minute by the template `version`, with the last `candles` candles."""
    return Prompt(version, _template(version), as_text(facts_of(minute, candles)))


@cache
def _template(version: str) -> str:
    return (TEMPLATES / f"{version}.txt").read_text(encoding="utf-8").strip()
