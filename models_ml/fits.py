"""What agents learned, as it is in force: the newest fit of each, its files read and checked once a process."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import structlog
from django.conf import settings
from django.db.models import QuerySet
from prometheus_client import Counter

from lib import clock
from models_ml import artifacts
from models_ml.agents.base import Agent
from models_ml.agents.sizing_rl import SizingPolicy
from models_ml.models import AgentVersion
from models_ml.voters.base import CorruptArtifact

log = structlog.get_logger(__name__)
SILENT = Counter("candor_agents_silent_total", "Readings that an agent did not give", ["agent"])

MAX_AGE_S = 14 * 86_400
"""Seconds of market time after the last minute learned from: profiles and levels change over weeks."""

Fit = Agent | SizingPolicy
_loaded: dict[tuple[int, str, str], tuple[int, Fit | None]] = {}
"""(venue, market class, agent) → version and what was read of it."""
_lock = Lock()


def newest(venue_id: int, market_class: str, agents: Sequence[str], now: int) -> QuerySet[AgentVersion]:
    """Of each agent the newest fit that had not seen the market instant `now` (epoch s) and is not too old for it."""
    fits = AgentVersion.objects.filter(
        venue_id=venue_id,
        market_class=market_class,
        agent__in=agents,
        trained_until__lte=clock.from_epoch(now),
        trained_until__gt=clock.from_epoch(now - MAX_AGE_S),
    )
    return fits.order_by("agent", "-pk").distinct("agent")


def loaded(version: AgentVersion) -> Fit | None:
    """What a version learned; None, logged once, where its files are not what was written."""
    place = version.venue_id, version.market_class, version.agent
    with _lock:
        if place not in _loaded or _loaded[place][0] != version.pk:
            _loaded[place] = version.pk, _open(version)
        return _loaded[place][1]


def _open(version: AgentVersion) -> Fit | None:
    folder = Path(settings.ARTIFACTS_DIR) / version.path
    try:
        if version.agent == SizingPolicy.key:
            return artifacts.read_sizing(folder, version.sha256)
        return artifacts.read_agent(folder, version.agent, version.sha256)
    except (CorruptArtifact, LookupError, TypeError, ValueError) as error:  # not what was written, or of another form
        log.error("agent_refused", agent=version.agent, version_id=version.pk, error=str(error))  # noqa: TRY400  # it says all
        return None
