"""The one presenter of a round: facts in, display-ready strings out.

The page's template and the browser's `board.js` fill the same slots from the same dictionary, so a page that has
received events reads like a page loaded afresh.
"""

from collections.abc import Sequence
from typing import Any

from lib.clock import MINUTE_S
from signals.confidence import MIN_N
from signals.facts import LensFacts, RoundFacts, VoteFacts
from signals.models import Outcome, Round, Signal
from signals.outlook import OutlookFacts, band_line, band_text, volatility_text
from signals.reading import facts_of
from signals.wording import (
    ABSTENTIONS,
    ARROWS,
    DIRECTIONS,
    OUTCOMES,
    STATES,
    TAINTS,
    VETOES,
    clock_text,
    duration_text,
    listed,
    percent,
    phrase,
    price_text,
    signed,
)

BAR_HALF = 50
"""Half the width of a vote's bar, in its SVG's units: up grows to the right of the middle, down to the left."""

EXPECTED_SILENCE = frozenset({"no_key", "no_book", "muted"})
"""Reasons to abstain that are a choice or a fact of the instrument, not a fault."""

Card = dict[str, Any]
"""JSON-serialisable: strings, numbers for clocks, lists of dictionaries of strings."""


def cards_of(rounds: Sequence[Round], signals: Sequence[Signal], outcomes: Sequence[Outcome], now: float) -> list[Card]:
    """Cards of stored rounds, in their order, at market time `now` (epoch seconds)."""
    return [card_of(facts, now) for facts in facts_of(rounds, signals, outcomes)]


def card_of(facts: RoundFacts, now: float) -> Card:
    """The card of one round at market time `now` (epoch seconds)."""
    issued = facts.state == "issued"
    return {
        "id": facts.public_id,
        "instrument": facts.instrument_id,
        "symbol": facts.symbol,
        "venue": facts.venue,
        "market_class": facts.market_class,
        "permalink": facts.permalink,
        "close_time": facts.close_time,
        "decided_at": facts.decided_at or facts.close_time,
        "expires_at": facts.expires_at,
        "open_until": facts.expires_at if issued and facts.outcome is None else 0,
        "remaining": _remaining(facts, now),
        "attrs": _attributes(facts),
        "arrow": ARROWS[facts.direction] if issued else "○",
        "headline": DIRECTIONS[facts.direction].upper() if issued else "No signal",
        "status": STATES[facts.state],
        "why": _why(facts),
        "announce": _announcement(facts),
        "horizon": f"{duration_text(facts.horizon_s)} horizon",
        **_votes_lines(facts),
        **_probability(facts),
        **_levels(facts),
        **_outlook(facts),
        **_size(facts),
        **_risk(facts),
        **_outcome(facts),
        "degraded": _degraded(facts),
        "votes": [_vote(vote) for vote in facts.votes],
        **_second_panel(facts),
    }


def _attributes(facts: RoundFacts) -> dict[str, str]:
    """`data-*` attributes of the card's root: what the style sheet looks at."""
    return {
        "round": facts.public_id,
        "state": facts.state,
        "direction": DIRECTIONS[facts.direction] if facts.state == "issued" else "none",
        "outcome": facts.outcome.result if facts.outcome else "none",
        "risk": facts.risk_label.lower() or "none",
    }


def _remaining(facts: RoundFacts, now: float) -> str:
    if facts.state != "issued" or facts.outcome is not None:
        return ""
    left = facts.expires_at - now
    return clock_text(left) if left > 0 else "resolving"


def _why(facts: RoundFacts) -> str:
    """One sentence: why this round says what it says."""
    agree = f"{facts.agreeing} of {facts.seats} agree"
    match facts.state:
        case "issued":
            return f"{agree}, {facts.quorum} needed"
        case "silent":
            return f"No consensus: {agree}, {facts.quorum} needed"
        case "vetoed":
            return f"Blocked: {listed(phrase(name, VETOES) for name in facts.vetoes) or phrase(facts.reason, VETOES)}"
        case "tainted":
            return f"Data not to be trusted: {_taint_words(facts) or phrase(facts.reason, {})}"
        case "late":
            return f"Late, so it never counts as a hit{_because(facts)}"
        case _:
            return f"This minute was missed{_because(facts)}"


def _because(facts: RoundFacts) -> str:
    return f": {phrase(facts.reason, {})}" if facts.reason else ""


def _taint_words(facts: RoundFacts) -> str:
    return listed(phrase(name, TAINTS) for name in facts.taints)


def _announcement(facts: RoundFacts) -> str:
    """What a screen reader hears: issued signals only."""
    if facts.state != "issued":
        return ""
    return f"{facts.symbol} {DIRECTIONS[facts.direction]}, {facts.agreeing} of {facts.seats} voters agree"


def _degraded(facts: RoundFacts) -> str:
    """Which voters of the panel should have voted and did not."""
    missing = [vote.title for vote in facts.votes if vote.abstained and vote.abstained not in EXPECTED_SILENCE]
    return f"Degraded: {len(missing)} of {len(facts.votes)} voters missing ({listed(missing)})" if missing else ""


def _votes_lines(facts: RoundFacts) -> Card:
    if not facts.votes:
        return {"vote_share": "", "vote_counts": "", "score": "", "quorum": ""}
    abstained = sum(vote.direction is None for vote in facts.votes)
    return {
        "vote_share": f"{facts.agreeing}/{facts.seats}",
        "vote_counts": f"{facts.count(1)} up · {facts.count(-1)} down · {facts.count(0)} neutral "
        f"· {abstained} abstained",
        "score": "" if facts.score is None else f"{facts.score:.2f}",
        "quorum": f"{facts.quorum} of {facts.seats} needed",
    }


def _probability(facts: RoundFacts) -> Card:
    """The calibrated probability, only ever beside its history; a small sample gets words and no number."""
    blank = {"probability": "", "probability_n": "", "probability_note": ""}
    if facts.state != "issued":
        return blank
    track = facts.track
    if facts.probability is None or track is None:
        return {**blank, "probability_note": "No probability yet: nothing to calibrate on"}
    if track.n < MIN_N:
        needed = f"n = {track.n:,}, {MIN_N} needed"
        return {**blank, "probability_note": f"No probability: the sample is too small ({needed})"}
    return {
        "probability": f"{facts.probability:.2f} {DIRECTIONS[facts.direction]}",
        "probability_n": f"said {track.bin_low:.2f}–{track.bin_high:.2f}: {percent(track.rate)} of {track.n:,} "
        f"({track.low * 100:.0f}–{track.high * 100:.0f}) · {track.source}",
        "probability_note": "",
    }


def _levels(facts: RoundFacts) -> Card:
    move = facts.expected_move_bps
    return {
        "tier": f"Tier {facts.tier}" if facts.tier else "",
        "entry": price_text(facts.entry, facts.tick_size),
        "stop": price_text(facts.stop, facts.tick_size),
        "target": price_text(facts.target, facts.tick_size),
        "expected_move": "" if move is None else f"{signed(move, 1, 'bp')} after costs",
    }


def _outlook(facts: RoundFacts) -> Card:
    """How far the price may move and how lively it is; what no agent said is empty."""
    outlook = facts.outlook or OutlookFacts()
    bands = {band.minutes: band_text(band, facts.tick_size) for band in outlook.bands}
    ahead = [band_line(band) for band in outlook.bands if band.minutes * MINUTE_S == facts.horizon_s]
    return {
        "band_line": listed(ahead),
        "band_1": bands.get(1, ""),
        "band_15": bands.get(15, ""),
        "band_60": bands.get(60, ""),
        "volatility_ahead": volatility_text(outlook.volatility_ratio),
        "regime": outlook.regime,
    }


def _size(facts: RoundFacts) -> Card:
    """What to risk, and whether the signal is worth acting upon at all; a signal of old has no size."""
    if facts.suggested_risk is None:
        return {"actionable": "", "size": "", "size_note": ""}
    worth = "yes: the cautious probability clears break-even" if facts.actionable else "no: break-even is not cleared"
    return {
        "actionable": worth,
        "size": f"{percent(facts.suggested_risk, 2)} of capital at risk",
        "size_note": facts.risk_note,
    }


def _risk(facts: RoundFacts) -> Card:
    scored = facts.risk_score is not None
    return {
        "risk": f"{facts.risk_label} · {facts.risk_score:.2f}" if scored else "",
        "risk_parts": " · ".join(f"{phrase(name, {})} {value:.2f}" for name, value in facts.risk_parts),
        "vetoes": listed(phrase(name, VETOES) for name in facts.vetoes),
        "taints": _taint_words(facts),
    }


def _outcome(facts: RoundFacts) -> Card:
    judged = facts.outcome
    if judged is None:
        return {"outcome": "", "outcome_mark": "", "outcome_text": "", "resolved_at": 0}
    mark, word = OUTCOMES[judged.result]
    moved = ""
    if judged.open is not None and judged.close is not None:
        first, last = (price_text(price, facts.tick_size) for price in (judged.open, judged.close))
        moved = f"the next candle opened at {first} and closed at {last}"
    corrected = "corrected by a later candle" if judged.superseded else ""
    return {
        "outcome": word,
        "outcome_mark": mark,
        "outcome_text": "; ".join(filter(None, (moved, phrase(judged.note, {}), corrected))),
        "resolved_at": judged.at,
    }


def _vote(vote: VoteFacts) -> Card:
    silent = vote.direction is None
    word = "abstained" if silent else DIRECTIONS[vote.direction or 0]
    return {
        "key": vote.voter,
        "title": vote.title,
        "attrs": {"direction": "none" if silent else word},
        "arrow": "○" if silent else ARROWS[vote.direction or 0],
        "word": word,
        "reason": phrase(vote.abstained, ABSTENTIONS) if vote.abstained else "",
        "raw": _raw(vote),
        **_bar(vote),
        "latency": "" if vote.latency_ms is None else f"{vote.latency_ms:.0f} ms",
        "version": vote.version,
        "age": "" if vote.age_s is None else f"model {duration_text(vote.age_s)} old",
    }


STRENGTHS = {
    "strong": "Strong",
    "basic": "Basic",
    "tie": "Tie",
    "none": "No common view",
}


def _second_panel(facts: RoundFacts) -> Card:
    """Five lenses and two language models, beside the nine; they decide nothing."""
    panel = facts.panel
    if panel is None:
        return {"lenses": [], "lens_line": "", "lens_counts": ""}
    side = f" {DIRECTIONS[panel.direction]}" if panel.direction else ""
    five = max(sum(lens.direction == way for lens in facts.lenses) for way in (1, -1))
    seven = max(panel.up, panel.down)
    return {
        "lenses": [_lens(lens) for lens in facts.lenses],
        "lens_line": f"Second panel: {STRENGTHS[panel.strength].lower()}{side}",
        "lens_counts": f"{STRENGTHS[panel.strength]}{side}: {five} of 5 lenses, {seven} of 7 with "
        f"the language models · {panel.up} up · {panel.down} down · {panel.neutral} neutral "
        f"· {panel.abstained} abstained",
    }


def _lens(lens: LensFacts) -> Card:
    word = DIRECTIONS[lens.direction]
    return {
        "key": lens.lens,
        "title": lens.title,
        "attrs": {"direction": word},
        "arrow": ARROWS[lens.direction],
        "word": word,
        "reason": lens.reason,
    }


def _raw(vote: VoteFacts) -> str:
    """The three raw outputs; they are labelled raw because they are probabilities of nothing until calibrated."""
    if vote.p_up is None or vote.p_down is None or vote.p_neutral is None:
        return ""
    return f"raw ▼ {vote.p_down:.2f} ● {vote.p_neutral:.2f} ▲ {vote.p_up:.2f}"


def _bar(vote: VoteFacts) -> dict[str, str]:
    up = BAR_HALF * (vote.p_up or 0.0)
    down = BAR_HALF * (vote.p_down or 0.0)
    return {"bar_up": f"{up:.1f}", "bar_down": f"{down:.1f}", "bar_down_x": f"{BAR_HALF - down:.1f}"}
