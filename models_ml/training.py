"""Train the panel of a venue on its stored candles: every model becomes a candidate, or takes an empty chair."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from lib import clock
from lib.errors import CandorError
from markets import candles
from markets.models import Instrument, Venue
from models_ml.agents.base import History, TooLittleHistory, zone_of
from models_ml.agents.sizing_learning import Record
from models_ml.agents.sizing_rl import SizingPolicy
from models_ml.champions import read_champions, unseen_from
from models_ml.features import VECTOR, dollar_sides
from models_ml.fitting import FittedVoter, Known, Score, decision_times, fit_panel
from models_ml.models import Calibration, ModelVersion, TrainingRun
from models_ml.profiles import Profile, tuned_profile
from models_ml.running import running
from models_ml.samples import Samples, build_samples
from models_ml.silences import detail_of, without
from models_ml.storing import Origin, store, store_agent
from models_ml.validation.psi import FeatureSlice
from models_ml.voters import LOCAL_SEATS, STACK
from models_ml.voters.base import Voter, thin

BOOK_DAYS = 7
DAY_MINUTES, SNAPSHOTS_A_DAY, DAY_S = 1440, 17_280, 86_400
"""Books are large: a week of five-second snapshots, and of trades, is what training reads at most."""
MOST_SNAPSHOTS = 2_600_000
"""Of all instruments together, some 350 bytes each: a week of twenty, three days of fifty."""

LOCAL_PANEL = 7
IMPORTANCE_ROWS, SLICE_ROWS = 2_000, 20_000
"""Rows of what was learned that tell which features mattered, and what features looked like."""
Say = Callable[[TrainingRun], None]
Recorded = Callable[[int, str, datetime], Record]
"""Venue, market class and a market instant → the decisions whose outcome was known then."""


class NothingToTrainError(CandorError):
    """No instrument of the venue has enough stored candles."""


def train(
    venue: Venue,
    *,
    profile: Profile,
    score: Score,
    recorded: Recorded | None = None,
    until: datetime | None = None,
    symbols: list[str] | None = None,
    seats: Sequence[str] = LOCAL_SEATS,
    kind: str = ModelVersion.Kind.FULL,
    seed: int = 7,
    say: Say | None = None,
) -> TrainingRun:
    """Train every voter of every market class of `venue`, the stack over those in their chairs, and the agents.

    The first model of an empty chair takes it as soon as it is fitted; any other becomes a candidate whose test is
    registered, and votes only once it has won. Agents have no vote; why one stays silent stands in the run's detail.

    Args:
        venue: whose candles to learn from.
        profile: sizes, and how far back to read.
        score: the consensus, passed in from the floor above for the calibration.
        recorded: what was decided and judged, passed in likewise for the learned sizing; without it none is learned.
        until: market time of the last candle to learn from; the newest stored one by default.
        symbols: only these instruments; all followed ones by default.
        seats: only these voters.
        kind: a full training, an update, which goes on from the champions, or a tuning; stack and agents are only
            learned in a full one.
        seed: of every random number.
        say: told the run after every step of progress.

    Raises:
        NothingToTrainError: no class of instruments has a day of candles.
    """
    order = _Order(profile, score, recorded, until, tuple(seats), kind, seed)
    with running(venue, profile.name, kind) as run:
        progress = _Progress(run, say)
        try:
            silent = _train_classes(venue, symbols, order, progress)
        except BaseException as error:
            progress.finish(TrainingRun.State.FAILED, str(error))
            raise
        progress.finish(TrainingRun.State.DONE, detail_of(silent))
    return run


def samples_of(instrument_ids: list[int], until: int, days: int, *, most: int | None = None, seed: int = 0) -> Samples:
    """All windows of `instrument_ids` that end by `until` (epoch s), or `most` of them: the training set.

    `until` is any instant: windows end with the last minute that is over by then. The time axis is that of a round: the
    minutes that are due, so a day of `days` is 1440 of them, and Monday follows Friday where a weekend is closed.
    """
    until = until // clock.MINUTE_S * clock.MINUTE_S
    book_days = _book_days(days, len(instrument_ids))
    panel = candles.load_panel(
        instrument_ids,
        until,
        days * DAY_MINUTES,
        calendar=_calendar_of(instrument_ids),
        snapshots=book_days * SNAPSHOTS_A_DAY,
        flow_s=book_days * DAY_S,
    )
    known = np.flatnonzero(np.isfinite(panel.ohlcv[..., 3]).any(axis=0))
    first = known[0] if len(known) else len(panel.open_times) - 1
    times, ohlcv = panel.open_times[first:], panel.ohlcv[:, first:]
    symbols = dict(Instrument.objects.filter(pk__in=instrument_ids).values_list("pk", "symbol"))
    dollar = dollar_sides([symbols[int(one)] for one in panel.instrument_ids])
    market, books, flow = panel.instrument_ids, panel.books, panel.flow
    return build_samples(times, ohlcv, market, books=books, flow=flow, dollar=dollar, most=most, seed=seed)


def history_of(instrument_ids: list[int], until: int, profile: Profile, *, seed: int = 0) -> Samples:
    """What a profile learns from: as far back as it says, and no more rows than it builds the features of."""
    return samples_of(instrument_ids, until, profile.history_days, most=profile.history_rows, seed=seed)


def _calendar_of(instrument_ids: list[int]) -> str:
    """The calendar they share; where they do not, every minute is on the axis."""
    calendars = set(Instrument.objects.filter(pk__in=instrument_ids).values_list("calendar", flat=True))
    return calendars.pop() if len(calendars) == 1 else "always"


def _book_days(days: int, instruments: int) -> int:
    """How many of the last days' books and trades fit into memory; one at least."""
    return min(days, BOOK_DAYS, max(MOST_SNAPSHOTS // (SNAPSHOTS_A_DAY * instruments), 1))


@dataclass(frozen=True, slots=True)
class _Order:
    """What was asked for, the same for every class."""

    profile: Profile
    score: Score
    recorded: Recorded | None
    until: datetime | None
    seats: tuple[str, ...]
    kind: str
    seed: int


def _train_classes(venue: Venue, symbols: list[str] | None, order: _Order, progress: "_Progress") -> list[str]:
    """Which agents of which classes stay silent, and why."""
    classes = classes_of(venue, symbols).items()
    trained = [_train_class(venue, market_class, ids, order, progress) for market_class, ids in classes]
    if not any(said is not None for said in trained):
        raise NothingToTrainError(f"{venue.key} has no instrument with a day of candles: import or download some first")
    return [line for said in trained for line in said or ()]


def classes_of(venue: Venue, symbols: list[str] | None) -> dict[str, list[int]]:
    """Market class → numbers of the instruments to learn from: those named, else all that are followed."""
    found = Instrument.objects.filter(venue=venue)
    found = found.filter(symbol__in=symbols) if symbols else found.filter(followed=True)
    classes: dict[str, list[int]] = defaultdict(list)
    for instrument in found:
        classes[instrument.market_class].append(instrument.pk)
    return classes


def _train_class(
    venue: Venue, market_class: str, ids: list[int], order: _Order, progress: "_Progress"
) -> list[str] | None:
    """Why agents of the class stay silent; None where it had no candles to train on."""
    newest = max(candles.newest_open_times(ids).values(), default=None)
    if newest is None:
        return None
    end = newest + clock.MINUTE_S
    if order.until is not None:
        end = min(clock.epoch(order.until), end)
    samples = history_of(ids, end, order.profile, seed=order.seed)
    if len(samples) < DAY_MINUTES:
        return None
    write = _Writer(venue, market_class, order, samples)

    def seated(seat: str, fitted: FittedVoter) -> None:
        write.voter(seat, fitted)
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
        profiles=write.profiles,
        known=_known(venue.pk, market_class, order.seats) if order.kind == ModelVersion.Kind.UPDATE else {},
    )
    if write.all_seated():
        write.calibration(fit.calibration)
    if order.kind != ModelVersion.Kind.FULL:
        return []
    write.stack()
    return [*write.agents(), *write.sizing()]


def _known(venue_id: int, market_class: str, seats: Sequence[str]) -> dict[str, Known]:
    """The champions of these seats, for an update to go on from."""
    found = read_champions(venue_id, market_class, seats)
    return {seat: Known(model.voter, unseen_from(version)) for seat, (version, model) in found.items()}


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
        self.order, self.samples = order, samples
        self.origin = Origin(
            venue=venue,
            market_class=market_class,
            profile=order.profile.name,
            kind=order.kind,
            seed=order.seed,
            first=clock.from_epoch(int(samples.open_times[0])),
            last=clock.from_epoch(int(samples.open_times[-1]) + clock.MINUTE_S),
            tuned={},
        )
        self.profiles = {seat: profile_for(venue, market_class, seat, order.profile) for seat in order.seats}
        self.stored: list[ModelVersion] = []

    def voter(self, seat: str, fitted: FittedVoter) -> None:
        """Store one voter; it takes its chair or is put to its test."""
        learned = self.samples.pick(decision_times(self.samples) < fitted.unseen_from)
        metrics = {
            "validation": fitted.metrics,
            "later": fitted.later,
            "unseen_from": fitted.unseen_from,
            "importances": fitted.voter.importances(thin(learned, IMPORTANCE_ROWS, self.order.seed)),
        }
        version = store(
            fitted.voter,
            replace(self.origin, tuned=dict(self.profiles[seat].tuned)),
            threshold=fitted.threshold,
            metrics=metrics,
            slice_=slice_of(fitted.voter, thin(learned, SLICE_ROWS, self.order.seed)),
        )
        self.stored.append(version)

    def all_seated(self) -> bool:
        """Whether the panel of the class is the one just fitted: then its calibration is the one to state."""
        champions = ModelVersion.objects.filter(
            venue=self.origin.venue, market_class=self.origin.market_class, state=ModelVersion.State.CHAMPION
        ).exclude(voter=STACK)
        return {version.pk for version in self.stored} == set(champions.values_list("pk", flat=True))

    def stack(self) -> None:
        """Learn the stack over whoever sits in the chairs now, on what none of them has met; a candidate as well."""
        from models_ml import stacking  # its trees are a worker's

        most = self.order.profile.judge_rows
        seen = stacking.replay(
            self.origin.venue.pk, self.origin.market_class, self.samples, most=most, seed=self.order.seed
        )
        if seen is not None:
            stacking.learn(seen, self.origin)

    def agents(self) -> list[str]:
        """Learn the agents of candles and store them; why those that are silent are so."""
        from models_ml.agents import learning  # a worker's

        samples, origin = self.samples, self.origin
        history = History(samples.open_times, samples.ohlcv, samples.market, zone_of(origin.market_class))
        found = learning.learn(history, seed=origin.seed)
        for key, agent in found.agents.items():
            store_agent(agent, origin, found.figures[key])
        reasons: dict[str, list[str]] = defaultdict(list)
        for key, reason in found.silent.items():
            reasons[reason].append(key)
        return [without(origin.market_class, keys, reason) for reason, keys in reasons.items()]

    def sizing(self) -> list[str]:
        """Learn the sizing that is only measured, and store it; why there is none."""
        if self.order.recorded is None:
            return []
        from models_ml.agents import sizing_learning

        origin = self.origin
        record = self.order.recorded(origin.venue.pk, origin.market_class, origin.last)
        try:
            found = sizing_learning.learn(
                record, clock.epoch(origin.last), seed=origin.seed, steps=self.order.profile.sizing_steps
            )
        except TooLittleHistory as error:
            return [without(origin.market_class, [SizingPolicy.key], str(error))]
        span = replace(origin, first=clock.from_epoch(found.first), last=clock.from_epoch(found.last))
        store_agent(found.policy, span, found.figures)
        return []

    def calibration(self, knots: dict[str, Any]) -> None:
        """Store the consensus calibration of the local panel."""
        Calibration.objects.create(
            venue=self.origin.venue,
            market_class=self.origin.market_class,
            seats=LOCAL_PANEL,
            knots=knots,
            n=knots["decisions"],
            trained_until=self.origin.last,
        )


def profile_for(venue: Venue, market_class: str, seat: str, profile: Profile) -> Profile:
    """The profile with the sizes that the champion of a seat was tuned to, unless it brings such sizes itself."""
    champion = ModelVersion.objects.filter(
        venue=venue, market_class=market_class, voter=seat, state=ModelVersion.State.CHAMPION
    ).first()
    return tuned_profile(profile, champion.tuned) if champion and not profile.tuned else profile


def slice_of(voter: Voter, learned: Samples) -> FeatureSlice | None:
    """What the features that a voter reads looked like in its training; None where it reads candles only."""
    columns = voter.reads()
    if not len(columns) or not len(learned):
        return None
    names = tuple(voter.columns[place] for place in columns)
    return FeatureSlice.learn(names, learned.matrix(columns), decision_times(learned))
