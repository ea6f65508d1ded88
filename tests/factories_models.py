"""Models for tests: rows of the registry, and the ways into a chair."""

from datetime import timedelta
from typing import Any

from lib import clock
from markets.models import Venue
from models_ml import promotion
from models_ml.features import FEATURES_HASH
from models_ml.models import Challenge, ModelVersion, Verdict

BRAVE = {"n": 5_000, "candidate_loss": 0.49, "champion_loss": 0.50, "gain": 0.01, "gain_low": 0.005, "skill": 0.01}
"""Figures of a test that is clearly won."""


def candidate(venue: Venue, voter: str = "xgb", **changes: Any) -> ModelVersion:  # any field
    """A candidate whose files do not exist."""
    now = clock.wall_now()
    facts: dict[str, Any] = {
        "market_class": "crypto", "profile": "quick", "path": f"{venue.key}/crypto/{voter}/nowhere", "sha256": "x",
        "features_hash": FEATURES_HASH, "code_version": "x", "seed": 7, "threshold": 0.1, "metrics": {},
        "trained_from": now - timedelta(days=1), "trained_until": now, "trained_at": now,
    }  # fmt: skip
    return ModelVersion.objects.create(venue=venue, voter=voter, **(facts | changes))


def register(version: ModelVersion, champion: ModelVersion, **changes: Any) -> Challenge:  # any field
    """A test of `version` against `champion`, a day long from the end of what both learned from."""
    opens = max(version.trained_until, champion.trained_until)
    facts: dict[str, Any] = {
        "metric": "brier", "least_n": 1_000, "margin": 0.0, "opens_at": opens, "closes_at": opens + timedelta(days=1),
        "registered_at": clock.wall_now(), "registered_by": "test",
    }  # fmt: skip
    return Challenge.objects.create(candidate=version, champion=champion, **(facts | changes))


def conclude(test: Challenge, *, won: bool = True, **changes: Any) -> Verdict:  # any field
    """A verdict with the figures of a test that is clearly won, unless told otherwise."""
    return Verdict.objects.create(challenge=test, won=won, concluded_at=clock.wall_now(), **(BRAVE | changes))


def crown(version: ModelVersion) -> ModelVersion:
    """Let a candidate sit down: the empty chair is free, for a taken one it wins a test."""
    champion = promotion.champion_of(promotion.seat_of(version))
    if champion is None or champion.features_hash != version.features_hash:
        promotion.bootstrap(version, by="test")
    else:
        promotion.promote(conclude(register(version, champion)), by="test")
    version.refresh_from_db()
    return version
