"""Train the panel of a venue on its stored candles and name the champions."""

import math
import subprocess
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.db import transaction

from lib import clock
from lib.errors import CandorError
from markets import candles
from markets.models import Instrument, Venue
from models_ml import artifacts
from models_ml.features import FEATURES_HASH, VECTOR, dollar_sides
from models_ml.fitting import FittedVoter, PanelFit, Score, fit_panel
from models_ml.models import Calibration, ModelVersion, TrainingRun
from models_ml.profiles import Profile
from models_ml.samples import Samples, build_samples
from models_ml.voters import LOCAL_SEATS

BOOK_DAYS = 7
DAY_MINUTES, SNAPSHOTS_A_DAY = 1440, 17_280
"""Books are large: a week of five-second snapshots is what training reads at most."""

LOCAL_PANEL = 7
Say = Callable[[TrainingRun], None]


class NothingToTrainError(CandorError):
    """No instrument of the venue has enough stored candles."""


def train(
    venue: Venue,
    *,
    profile: Profile,
    score: Score,
    until: datetime | None = None,
    symbols: list[str] | None = None,
    seats: Sequence[str] = LOCAL_SEATS,
    seed: int = 7,
    say: Say | None = None,
) -> TrainingRun:
    """Train every voter of every market class of `venue`; each becomes champion as soon as it is fitted.

    Args:
        venue: whose candles to learn from.
        profile: sizes, and how far back to read.
        score: the consensus, passed in from the floor above for the calibration.
        until: market time of the last candle to learn from; the newest stored one by default.
        symbols: only these instruments; all followed ones by default.
        seats: only these voters; the consensus is then calibrated on what they alone agree on.
        seed: of every random number.
        say: told the run after every step of progress.

    Raises:
        NothingToTrainError: no class of instruments has a day of candles.
    """
    run = TrainingRun.objects.create(
        venue=venue, profile=profile.name, started_at=clock.wall_now(), beat_at=clock.wall_now()
    )
    progress = _Progress(run, say)
    try:
        _train_classes(venue, symbols, _Order(profile, score, until, tuple(seats), seed), progress)
    except BaseException as error:
        progress.finish(TrainingRun.State.FAILED, str(error))
        raise
    progress.finish(TrainingRun.State.DONE, "")
    return run


def samples_of(instrument_ids: list[int], until: int, days: int, *, most: int | None = None, seed: int = 0) -> Samples:
    """All windows of `instrument_ids` that end by `until` (epoch s), or `most` of them: the training set."""
    panel = candles.load_panel(
        instrument_ids, until, days * DAY_MINUTES, snapshots=min(days, BOOK_DAYS) * SNAPSHOTS_A_DAY
    )
    known = np.flatnonzero(np.isfinite(panel.ohlcv[..., 3]).any(axis=0))
    first = known[0] if len(known) else len(panel.open_times) - 1
    times, ohlcv = panel.open_times[first:], panel.ohlcv[:, first:]
    symbols = dict(Instrument.objects.filter(pk__in=instrument_ids).values_list("pk", "symbol"))
    dollar = dollar_sides([symbols[int(one)] for one in panel.instrument_ids])
    return build_samples(times, ohlcv, panel.instrument_ids, books=panel.books, dollar=dollar, most=most, seed=seed)


@dataclass(frozen=True, slots=True)
class _Order:
    """What was asked for, the same for every class."""

    profile: Profile
    score: Score
    until: datetime | None
    seats: tuple[str, ...]
    seed: int


def _train_classes(venue: Venue, symbols: list[str] | None, order: _Order, progress: "_Progress") -> None:
    classes = _classes(venue, symbols).items()
    trained = [_train_class(venue, market_class, ids, order, progress) for market_class, ids in classes]
    if not any(trained):
        raise NothingToTrainError(f"{venue.key} has no instrument with a day of candles: import or download some first")


def _classes(venue: Venue, symbols: list[str] | None) -> dict[str, list[int]]:
    found = Instrument.objects.filter(venue=venue)
    found = found.filter(symbol__in=symbols) if symbols else found.filter(followed=True)
    classes: dict[str, list[int]] = defaultdict(list)
    for instrument in found:
        classes[instrument.market_class].append(instrument.pk)
    return classes


def _train_class(venue: Venue, market_class: str, ids: list[int], order: _Order, progress: "_Progress") -> bool:
    """Whether the class had the candles to train on."""
    newest = max(candles.newest_open_times(ids).values(), default=None)
    if newest is None:
        return False
    end = newest + clock.MINUTE_S
    if order.until is not None:
        end = min(clock.epoch(order.until) // clock.MINUTE_S * clock.MINUTE_S, end)
    samples = samples_of(ids, end, order.profile.history_days, most=order.profile.history_rows, seed=order.seed)
    if len(samples) < DAY_MINUTES:
        return False
    write = _Writer(venue, market_class, order, samples)

    def seated(seat: str, fitted: FittedVoter) -> None:
        write.champion(seat, fitted)
        progress.step(seat, progress.run.total, progress.run.total)  # a fit that stopped early is done all the same

    fit = fit_panel(
        samples,
        order.profile,
        columns=VECTOR,
        score=order.score,
        seats=order.seats,
        on_progress=progress.step,
        on_fitted=seated,
        seed=order.seed,
    )
    write.calibration(fit)
    return True


class _Progress:
    """Writes a run's progress at most twice a second, so that pages and terminal can show it."""

    def __init__(self, run: TrainingRun, say: Say | None) -> None:
        self.run, self.say, self._last = run, say, 0.0

    def step(self, voter: str, done: int, total: int) -> None:
        now = clock.wall_now()
        if now.timestamp() - self._last < 0.5 and done < total and voter == self.run.voter:
            return
        self._last = now.timestamp()
        self._save(voter=voter, done=done, total=total, beat_at=now)

    def finish(self, state: TrainingRun.State, detail: str) -> None:
        self._save(state=state, detail=detail, finished_at=clock.wall_now(), beat_at=clock.wall_now())

    def _save(self, **facts: object) -> None:
        for name, value in facts.items():
            setattr(self.run, name, value)
        self.run.save(update_fields=list(facts))
        if self.say:
            self.say(self.run)


class _Writer:
    """Puts fitted voters into the artifact store and the registry."""

    def __init__(self, venue: Venue, market_class: str, order: _Order, samples: Samples) -> None:
        self.venue, self.market_class, self.order = venue, market_class, order
        self.first = clock.from_epoch(int(samples.open_times[0]))
        self.last = clock.from_epoch(int(samples.open_times[-1]) + clock.MINUTE_S)

    def champion(self, seat: str, fitted: FittedVoter) -> None:
        """Store one voter and let it take its seat; the one before is retired, not deleted."""
        path = f"{self.venue.key}/{self.market_class}/{seat}/{uuid.uuid4().hex}"
        digest = artifacts.write(fitted.voter, Path(settings.ARTIFACTS_DIR) / path, features_hash=FEATURES_HASH)
        with transaction.atomic():
            ModelVersion.objects.filter(
                venue=self.venue, market_class=self.market_class, voter=seat, state=ModelVersion.State.CHAMPION
            ).update(state=ModelVersion.State.RETIRED)
            ModelVersion.objects.create(
                venue=self.venue,
                market_class=self.market_class,
                voter=seat,
                profile=self.order.profile.name,
                state=ModelVersion.State.CHAMPION,
                path=path,
                sha256=digest,
                features_hash=FEATURES_HASH,
                code_version=code_version(),
                seed=self.order.seed,
                threshold=fitted.threshold,
                metrics={"validation": _finite(fitted.metrics), "later": _finite(fitted.later)},
                trained_from=self.first,
                trained_until=self.last,
                trained_at=clock.wall_now(),
            )

    def calibration(self, fit: PanelFit) -> None:
        """Store the consensus calibration of the local panel."""
        Calibration.objects.create(
            venue=self.venue,
            market_class=self.market_class,
            seats=LOCAL_PANEL,
            knots=fit.calibration,
            n=fit.calibration["decisions"],
            trained_until=self.last,
        )


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


def _finite(metrics: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no NaN."""
    return {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in metrics.items()}
