"""What a sentence of market news says: a score from −1 (bad) to 1 (good) from Candor's lexicon. Pure, no libraries.

Weighed words and phrases count by themselves; a direction counts with what moves; amounts are compared. A negation
turns what follows, an adverb stretches it.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from models_ml.agents import lexicon
from models_ml.agents.amounts import changes, repaired

REACH = 3
"""Words after a negation that it turns."""
NEAR = 10
"""Words between a direction and what moves."""
EVENT_REACH = 7
"""Words between a verb and what it happens to."""
TURNED = -0.7
"""A negated word says the opposite, less firmly."""
MOVED, ALONE = 1.5, 0.7
"""Weight of a direction with what moves, and of one alone."""
COMPARED = 2.0
"""Weight of two amounts that say themselves which way it went."""
FIRM = 2.0
"""Sum of weights at which the score is tanh(1) = 0.76."""
LOSSES = frozenset({"loss", "losses", "deficit"})
NEUTRAL = 0.3
"""Scores nearer to zero than this say nothing."""

_WORD = re.compile(r"[a-z][a-z'’-]*|\d[\d.,]*|%|[.;:!?]")
_NUMBER = re.compile(r"[\d%]")
_AFTER_DIRECTION = frozenset({"from", "by", "to", "on", "at", "in", "slightly", "sharply", "almost", "nearly", "some"})
_NO_VERB = (["to"], ["on"])
"""What follows "close to" and "order on": no verbs."""
_LIMP = frozenset({"up", "down", "above", "below", "more", "less", "fewer", "larger", "bigger", "smaller"})
"""Directions only beside a figure, a comparison or at the end: "set up", "more than 30 countries" are none."""


@dataclass(frozen=True, slots=True)
class Polarity:
    """What was found in one text. `good` and `bad` are sums of weights of words, `bad` at most 0."""

    good: float
    bad: float
    moved: float  # directions with what moves
    events: float  # verbs with what they happen to
    compared: float  # amounts that rose − amounts that fell

    @property
    def total(self) -> float:
        """Everything together."""
        return self.good + self.bad + self.moved + self.events + COMPARED * self.compared

    @property
    def score(self) -> float:
        """−1 to 1."""
        return math.tanh(self.total / FIRM)

    @property
    def label(self) -> str:
        """`negative`, `neutral` or `positive`."""
        return label_of(self.score)


def label_of(score: float) -> str:
    """The word for a score."""
    if abs(score) < NEUTRAL:
        return "neutral"
    return "positive" if score > 0 else "negative"


def polarity(text: str) -> Polarity:
    """Read one text, in English; other languages find no words and read 0."""
    words = _WORD.findall(repaired(text))
    moves = dict(_moves(words))
    sides = [change.side for change in changes(text)]
    spoken_for = {place for _, subject in moves.values() for place in subject}
    if sides:  # the sums themselves say what became of the loss
        spoken_for |= {place for place, word in enumerate(words) if word in LOSSES}
    events = list(_events(words))
    spoken_for |= {place for _, places in events for place in places}
    weights = list(_weights(words, moves.keys() | spoken_for))
    return Polarity(
        good=sum(weight for weight in weights if weight > 0),
        bad=sum(weight for weight in weights if weight < 0),
        moved=sum(weight for weight, _ in moves.values()),
        events=sum(weight for weight, _ in events),
        compared=float(max(-2, min(2, sum(sides)))),
    )


@lru_cache(maxsize=1 << 15)
def bases(word: str) -> tuple[str, ...]:
    """A word and the base forms that it may come from, the likeliest first."""
    found = [word]
    if word in lexicon.EXEMPT:
        return (word,)
    if word in lexicon.IRREGULAR:
        found.insert(0, lexicon.IRREGULAR[word])
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            stem = word[: len(word) - len(ending)]
            found += [stem + rest for rest in instead]
            if len(stem) > 3 and stem[-1] == stem[-2]:
                found.append(stem[:-1])
    return tuple(dict.fromkeys(found))


_ENDINGS = (
    ("'s", ("",)), ("ies", ("y",)), ("ied", ("y",)), ("es", ("", "e")), ("s", ("",)), ("ed", ("", "e")),
    ("ing", ("", "e")),
)  # fmt: skip


_Move = tuple[int, tuple[float, tuple[int, ...]]]


def _moves(words: list[str]) -> Iterator[_Move]:
    """(place, (weight, places of what moves)) of every direction."""
    for place, word in enumerate(words):
        forms = bases(word)
        up, down = _among(forms, lexicon.UP), _among(forms, lexicon.DOWN)
        if up == down or not _is_direction(words, place):
            continue
        scale = _scale(words, place) * _turn(words, place)
        if _to_loss(words, place):
            yield place, (-MOVED * scale, ())
            continue
        side, (subject, at) = 1 if up else -1, _subject(words, place)
        if subject:
            yield place, (side * subject * MOVED * scale, (at,))
        elif not _among(forms, frozenset(lexicon.POLARITY)):
            yield place, (side * ALONE * scale, ())


def _events(words: list[str]) -> Iterator[tuple[float, tuple[int, int]]]:
    """(weight, places of the verb and of what it happens to) of every event; each thing happens once."""
    happened: set[int] = set()
    for place, word in enumerate(words):
        forms = bases(word)
        for verbs, things, weight in lexicon.EVENTS if words[place + 1 : place + 2] not in _NO_VERB else ():
            at = _thing(words, place, things) if _among(forms, verbs) else place
            if at != place and at not in happened:
                happened.add(at)
                yield weight * _turn(words, place), (place, at)
                break


def _thing(words: list[str], place: int, things: frozenset[str]) -> int:
    """Place of the first of `things` after a verb within the clause, or the verb's own."""
    for at in range(place + 1, min(place + EVENT_REACH + 1, len(words))):
        if words[at] in ".;:!?":
            break
        if _among(bases(words[at]), things) and words[at - 1] not in {"this", "that", "these", "those"}:
            return at
    return place


def _weights(words: list[str], taken: set[int]) -> Iterator[float]:
    """Weights of the phrases and words that are no part of a move."""
    place = 0
    while place < len(words):
        long = next((n for n in (4, 3, 2) if tuple(words[place : place + n]) in lexicon.PHRASES), 0)
        if long and not taken & set(range(place, place + long)):
            yield lexicon.PHRASES[tuple(words[place : place + long])] * _turn(words, place)
            place += long
            continue
        if place not in taken and words[place] not in _LIMP:
            yield _weight(words[place]) * _scale(words, place) * _turn(words, place)
        place += 1


def _weight(word: str) -> float:
    return next((lexicon.POLARITY[form] for form in bases(word) if form in lexicon.POLARITY), 0.0)


def _among(forms: tuple[str, ...], words: frozenset[str]) -> bool:
    return any(form in words for form in forms)


def _is_direction(words: list[str], place: int) -> bool:
    """Whether a direction is one here."""
    if words[place] not in _LIMP:
        return True
    after = words[place + 1] if place + 1 < len(words) else "."
    if words[place] in {"up", "down"}:
        return after in _AFTER_DIRECTION - {"to", "in", "on", "at"} or bool(_NUMBER.match(after)) or after in ".;"
    return after in {"than", "the"} and not _NUMBER.match((words + ["."] * 3)[place + 2])


def _subject(words: list[str], place: int) -> tuple[int, int]:
    """1 or −1 for the nearest thing that is good or bad when it rises, within the clause, and where; 0 without one."""
    sides = (-1,) if words[place + 1 : place + 2] == ["from"] else (1, -1)
    for at in (place + side * distance for distance in range(1, NEAR + 1) for side in sides):
        if 0 <= at < len(words) and not _parted(words, min(at, place), max(at, place)):
            forms = bases(words[at])
            if _among(forms, lexicon.BAD):
                return -1, at
            if _among(forms, lexicon.GOOD):
                return 1, at
    return 0, place


def _to_loss(words: list[str], place: int) -> bool:
    """Whether it ends in a loss: "slipped to a net loss" (a loss that "narrowed to" a sum does not)."""
    if words[place + 1 : place + 2] != ["to"]:
        return False
    for word in words[place + 2 : place + 6]:
        if word[0].isdigit():
            return False
        if word in LOSSES:
            return True
    return False


def _parted(words: list[str], start: int, end: int) -> bool:
    return any(word in ".;:!?" for word in words[start:end])


def _scale(words: list[str], place: int) -> float:
    around = [*words[max(place - 1, 0) : place], *words[place + 1 : place + 2]]
    return next((lexicon.SCALES[word] for word in around if word in lexicon.SCALES), 1.0)


def _turn(words: list[str], place: int) -> float:
    before = words[max(place - REACH, 0) : place]
    return TURNED if any(word in lexicon.NEGATIONS or word.endswith("n't") for word in before) else 1.0


FIGURES = (
    "good", "bad", "moved_up", "moved_down", "event_up", "event_down", "compared_up", "compared_down", "score_up",
    "score_down", "says_positive", "says_negative", "says_neutral",
)  # fmt: skip


def figures(text: str) -> tuple[float, ...]:
    """What was found as the inputs of a model, in the order of `FIGURES`; none below 0."""
    found = polarity(text)
    signed = (found.moved, found.events, found.compared, found.score)
    pairs = [part for value in signed for part in (max(value, 0), max(-value, 0))]
    says = [float(found.label == label) for label in ("positive", "negative", "neutral")]
    return (found.good, -found.bad, *pairs, *says)
