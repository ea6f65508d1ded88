"""From a fitted model to a row and a folder: a candidate, which then takes an empty chair or is put to its test."""

import math
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from lib import clock
from markets.models import Venue
from models_ml import artifacts, challenges
from models_ml.agents.base import Agent
from models_ml.agents.sizing_rl import SizingPolicy
from models_ml.artifacts import Storable
from models_ml.features import FEATURES_HASH
from models_ml.models import AgentVersion, ModelVersion
from models_ml.validation.psi import FeatureSlice

KEPT_FITS = 3
"""Fits of an agent whose files are kept; rows are kept for ever."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a model comes from: everything a row says that the model itself does not know."""

    venue: Venue
    market_class: str
    profile: str
    kind: str
    seed: int
    first: datetime
    last: datetime
    tuned: dict[str, Any]


def store(
    model: Storable, origin: Origin, *, threshold: float, metrics: dict[str, Any], slice_: FeatureSlice | None = None
) -> ModelVersion:
    """Write the files, then the row; then let it take its chair, or register its test."""
    path = f"{origin.venue.key}/{origin.market_class}/{model.key}/{uuid.uuid4().hex}"
    folder = Path(settings.ARTIFACTS_DIR) / path
    digest = artifacts.write(model, folder, features_hash=FEATURES_HASH, slice_=slice_)
    with transaction.atomic():  # a candidate without a test would wait for ever
        version = ModelVersion.objects.create(
            venue=origin.venue,
            market_class=origin.market_class,
            voter=model.key,
            profile=origin.profile,
            kind=origin.kind,
            tuned=origin.tuned,
            path=path,
            sha256=digest,
            features_hash=FEATURES_HASH,
            code_version=code_version(),
            seed=origin.seed,
            threshold=threshold,
            metrics=finite(metrics),
            trained_from=origin.first,
            trained_until=origin.last,
            trained_at=clock.wall_now(),
        )
        challenges.enter(version, by="training")
    version.refresh_from_db(fields=["state"])
    return version


def store_agent(agent: Agent | SizingPolicy, origin: Origin, metrics: dict[str, Any]) -> AgentVersion:
    """Write the files, then the row, which speaks from then on; files of fits long replaced are removed."""
    path = f"{origin.venue.key}/{origin.market_class}/{agent.key}/{uuid.uuid4().hex}"
    digest = artifacts.write(agent, Path(settings.ARTIFACTS_DIR) / path, features_hash=artifacts.form_of(type(agent)))
    version = AgentVersion.objects.create(
        venue=origin.venue,
        market_class=origin.market_class,
        agent=agent.key,
        profile=origin.profile,
        path=path,
        sha256=digest,
        code_version=code_version(),
        seed=origin.seed,
        metrics=finite(metrics),
        trained_from=origin.first,
        trained_until=origin.last,
        trained_at=clock.wall_now(),
    )
    earlier = AgentVersion.objects.filter(venue=origin.venue, market_class=origin.market_class, agent=agent.key)
    for old in earlier.order_by("-pk")[KEPT_FITS:]:
        shutil.rmtree(Path(settings.ARTIFACTS_DIR) / old.path, ignore_errors=True)
    return version


def code_version() -> str:
    """The commit this code stands at, or "unknown" outside a checkout."""
    done = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"],  # noqa: S607  # the operator's own git, fixed arguments
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def finite(facts: Any) -> Any:  # noqa: ANN401  # any JSON
    """The same facts with None for every figure that JSON does not know."""
    if isinstance(facts, dict):
        return {key: finite(value) for key, value in facts.items()}
    return None if isinstance(facts, float) and not math.isfinite(facts) else facts
