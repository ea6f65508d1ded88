"""Every agent of a market, on the leaderboard: what it answers, whether it speaks, and what it was found to do.

The number of queries is the same however many markets there are. No file of an agent is opened for a page: one that is
damaged is seen by its silence in the last rounds.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from lib import clock
from markets.models import Instrument, Run
from markets.runs import market_time
from models_ml import tone
from models_ml.agents import AGENTS, CANDLE_AGENTS
from models_ml.agents.sizing_rl import SizingPolicy
from models_ml.fits import MAX_AGE_S
from models_ml.models import AgentVersion, ModelVersion, TrainingRun
from models_ml.silences import reasons_of
from models_ml.voters import STACK, STACK_MAX_AGE
from signals.agent_figures import figures_of
from signals.models import PanelRecord, Round
from signals.sizing_record import LEAST_DAYS, LEAST_JUDGED
from signals.sizing_words import sentence_of
from signals.wording import duration_text

Line = dict[str, Any]
HEARD_BACK: Final = timedelta(minutes=5)
"""Market time in which an agent in force has to have been heard."""
HEARD_ROUNDS: Final = 200

ANSWERS: Final = {
    "volatility": "How much will the price move over the next 15 and 60 minutes?",
    "moves": "Between which prices will 80 % of moves end, in 1, 15 and 60 minutes?",
    "regime": "Is the market trending, ranging or volatile?",
    STACK: "How probable is the side that the panel takes, given who votes for it?",
    "sentiment": "What do headlines say, from bad to good? One reader for all markets.",
    SizingPolicy.key: "How much of an account would a learned policy stake? A shadow: nobody sizes by it.",
}
"""Agent → the question that it answers, in the order of the page."""
TITLES: Final = {key: spec.title for key, spec in AGENTS.items()} | {STACK: "Stack", "sentiment": "Sentiment"}
NEVER: Final = "nothing learned yet: a full training learns it, every night"
OLD: Final = "too old: it learns anew in the next full training"
UNHEARD: Final = "not heard in the last minutes: damaged, late or failing, see the worker's log"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of all agents of a run, by market class."""

    now: datetime
    fits: dict[tuple[str, str], AgentVersion]
    stacks: dict[str, ModelVersion]
    records: dict[str, PanelRecord]
    heard: dict[str, set[str]]
    training: TrainingRun | None

    @property
    def since(self) -> datetime:
        """Wall clock: what was learned later may not have had a round yet."""
        return clock.wall_now() - HEARD_BACK


def agents_of(run: Run) -> list[Line]:
    """One entry a market class: its name and the lines of its agents."""
    followed = Instrument.objects.filter(venue_id=run.venue_id, followed=True).values_list("market_class", flat=True)
    facts = facts_of(run)
    learned = {market_class for market_class, _ in facts.fits}
    return [
        {"name": name, "rows": [line_of(agent, name, facts) for agent in ANSWERS]}
        for name in sorted({*followed, *learned, *facts.stacks})
    ]


def facts_of(run: Run) -> Facts:
    """Read the registry, the record and the last rounds."""
    now = market_time(run)
    fits = AgentVersion.objects.filter(venue_id=run.venue_id).order_by("market_class", "agent", "-pk")
    stacks = ModelVersion.objects.filter(venue_id=run.venue_id, voter=STACK, state=ModelVersion.State.CHAMPION)
    records = PanelRecord.objects.filter(venue_id=run.venue_id).order_by("market_class", "-pk")
    trainings = TrainingRun.objects.filter(
        venue_id=run.venue_id, kind=ModelVersion.Kind.FULL, state=TrainingRun.State.DONE
    )
    return Facts(
        now,
        {(row.market_class, row.agent): row for row in fits.distinct("market_class", "agent")},
        {row.market_class: row for row in stacks},
        {row.market_class: row for row in records.distinct("market_class")},
        _heard(run, now),
        trainings.order_by("-pk").first(),
    )


def line_of(agent: str, market_class: str, facts: Facts) -> Line:
    """One agent of one market: display-ready words."""
    line = {"key": agent, "title": TITLES[agent], "answers": ANSWERS[agent], "live": _live(agent, market_class, facts)}
    if agent == "sentiment":
        return line | _reader()
    version = facts.stacks.get(market_class) if agent == STACK else facts.fits.get((market_class, agent))
    if version is None:
        return line | {"state": "silent", "why": _never(agent, market_class, facts), "figures": []}
    limit = STACK_MAX_AGE if agent == STACK else MAX_AGE_S
    age = (facts.now - version.trained_until).total_seconds()
    why = _silence(agent, version, facts) or ("" if age < limit else OLD)
    return line | {
        "state": "silent" if why else "shadow" if agent == SizingPolicy.key else "in force",
        "why": why or _passed_over(agent, version, facts),
        "version": f"v{version.pk}",
        "until": version.trained_until.timestamp(),
        "age": f"{duration_text(age)} of {duration_text(limit)}",
        "figures": figures_of(agent, version.metrics),
    }


def _never(agent: str, market_class: str, facts: Facts) -> str:
    """Why there is no version yet."""
    if agent == STACK:
        return "no stack yet: probabilities come from the panel's own calibration"
    reason = reasons_of(facts.training.detail, market_class).get(agent) if facts.training else None
    return f"the last training: {reason}" if reason else NEVER


def _silence(agent: str, version: ModelVersion | AgentVersion, facts: Facts) -> str:
    """Why the newest version does not speak, though it is young enough; empty where it does."""
    if version.trained_until > facts.now:
        return "it learned from minutes that the market has not reached again"
    if agent == "regime" and version.metrics.get("shown") is False:
        return "it does not help: the lower end of what it saves is not above zero"
    heard = facts.heard.get(version.market_class)
    silent = heard is not None and agent in CANDLE_AGENTS and agent not in heard
    return UNHEARD if silent and version.trained_at < facts.since else ""


def _passed_over(agent: str, version: ModelVersion | AgentVersion, facts: Facts) -> str:
    """Why a later training did not replace a version that speaks."""
    if facts.training is None or facts.training.started_at <= version.trained_at:
        return ""
    reason = reasons_of(facts.training.detail, version.market_class).get(agent)
    return f"kept, since the last training learned none: {reason}" if reason else ""


def _live(agent: str, market_class: str, facts: Facts) -> str:
    """What was measured since: of the shadow alone, the others have no stakes."""
    if agent != SizingPolicy.key:
        return ""
    record = facts.records.get(market_class)
    found = record.figures.get("sizing") if record else None
    least = f"{LEAST_JUDGED:,} rows on {LEAST_DAYS} days"
    return sentence_of(found) if found else f"no judged row yet: a verdict takes {least}"


def _reader() -> Line:
    """The reader that the settings name; it belongs to no market."""
    key, facts = tone.chosen()
    words = {
        "lexicon": "the shipped lexicon reads: rules and words, nothing was learned, no figure is stored with it",
        "linear": f"a linear model reads, learned from {facts.get('n', 0):,} sentences",
        "finbert": "FinBERT reads, from the operator's folder: nothing was learned here, no figure is stored with it",
    }
    return {"state": "in force", "why": words[key], "version": key, "figures": figures_of("sentiment", facts)}


def _heard(run: Run, now: datetime) -> dict[str, set[str]]:
    """Market class → agents of candles that spoke in its last rounds; a class without a round is absent.

    The forecast of volatility is heard in the bands that rest on it.
    """
    rounds = Round.objects.filter(
        instrument__venue_id=run.venue_id, close_time__gt=now - HEARD_BACK, close_time__lte=now
    ).exclude(state=Round.State.MISSED)
    found: dict[str, set[str]] = {}
    for name, said in rounds.order_by("-close_time").values_list("instrument__market_class", "outlook__agents")[
        :HEARD_ROUNDS
    ]:
        found.setdefault(name, set()).update(said or ())
    return {name: heard | ({"volatility"} if "moves" in heard else set()) for name, heard in found.items()}
