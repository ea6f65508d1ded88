"""One minute of one shard: load the window, ask the panel, decide every instrument, save the rounds."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import structlog
from django.conf import settings
from numpy.typing import NDArray
from prometheus_client import Counter, Histogram

from lib import clock
from markets import quality
from markets.models import Instrument, Run, Venue
from markets.runs import current_run
from markets.values import IntArray, Panel, TaintFlag
from markets.window import LiveWindow
from models_ml import watching
from models_ml.agents.volatility import Volatility, volatility
from models_ml.champions import calibration_of, champions, stack_of
from models_ml.features import LOOKBACK, VECTOR, build_last, dollar_sides, patterns
from models_ml.features.microstructure import SIGHT
from models_ml.lenses.looking import look_at
from models_ml.news import News, news_of
from models_ml.outlook import Outlook, outlooks
from models_ml.panel import LoadedModel, PanelVotes, vote, with_language
from models_ml.providers import providers
from models_ml.samples import Samples
from models_ml.voters import LOOKBACK as VOTER_LOOKBACK
from models_ml.voters import SEATS, VOTERS
from signals import publishing
from signals.confidence import Bin, Calibration, Chance
from signals.consensus import NINE, SEVEN, PanelRule
from signals.decided import Decided
from signals.levels import TierRules
from signals.models import Round
from signals.pipeline import Ballot, Decision, Rules, Stacked, decide
from signals.questions import ask_language
from signals.risk import Context, RiskRules
from signals.sizing import SizeRules
from signals.track_record import live_bins

if TYPE_CHECKING:
    from models_ml import asking

log = structlog.get_logger(__name__)
STAGE = Histogram(
    "candor_decision_seconds",
    "Where the decision of one minute spends its time",
    ["stage"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
REPEATED = Counter("candor_rounds_repeated_total", "Rounds asked for again, or together with another worker")

BOOK_SNAPSHOTS = 64
"""Book snapshots that the order-book voter may read, newest last."""

BARS = max(LOOKBACK, VOTER_LOOKBACK)
DAY_BARS = max(BARS, 1440)
"""What is kept in memory: the scores of the data look back a day."""
TAINT_BARS = 1440
"""Minutes whose flaws taint a round; columns that look further back do without a few candles or are unknown."""

WINDOWS = 6
"""Live windows a process keeps: one a market class, and a few for the odd minute that came in parts."""
_windows: dict[tuple[int, datetime, str, tuple[int, ...]], LiveWindow] = {}
_windows_lock = Lock()


def panel_rule(run: Run) -> PanelRule:
    """The panel in force: seven seats in a replay or while no language model is configured, else nine.

    One of the two is enough for nine: the quorum is then six, and the seat without a key abstains like any other.
    """
    return NINE if run.venue.kind != Venue.Kind.REPLAY and providers() else SEVEN


def rules_of(run: Run) -> Rules:
    """Everything an operator fixed before the minute."""
    return Rules(
        panel=panel_rule(run),
        risk=RiskRules(
            settings.RISK_CEILING,
            settings.QUALITY_HOUR_FLOOR,
            settings.QUALITY_DAY_FLOOR,
            settings.NEWS_WINDOW_BEFORE,
            settings.NEWS_WINDOW_AFTER,
        ),
        tiers=TierRules(
            payout=settings.PAYOUT,
            first=settings.TIER_1_MARGIN,
            second=settings.TIER_2_MARGIN,
            fee_bps=settings.FEE_BPS,
            actionable=settings.ACTIONABLE_MARGIN,
        ),
        sizes=SizeRules(settings.KELLY_FRACTION),
        conservative=settings.CONSERVATIVE,
    )


def decide_minute(
    close_time: int, instrument_ids: Sequence[int], *, received: float | None = None, run: Run | None = None
) -> list[int]:
    """Decide every instrument of the shard whose round is not written yet.

    Args:
        close_time: epoch seconds at which the candle closed.
        instrument_ids: the shard; ids of other markets are ignored.
        received: wall epoch seconds at which the closing candles arrived; the stored time of receipt by default.
        run: the run to decide for; the one that pages show by default.

    Returns:
        Ids of the rounds written by this call; a second or concurrent call for the same minute writes none.
    """
    run = run or current_run()
    if run is None:
        return []
    started = time.perf_counter()
    written: list[int] = []
    waiting: list[Asked] = []
    for group in _groups(run, close_time, instrument_ids).values():
        asked = _ask(run, group, close_time, received)
        if asked.language is None:
            written += _decide(run, asked, close_time, received, started)
        else:
            waiting.append(asked)  # the other groups are computed while language models think
    for asked in waiting:
        written += _decide(run, asked, close_time, received, started)
    again = len(set(instrument_ids)) - len(written)
    REPEATED.inc(again)
    log.info(
        "minute_decided",
        close_time=close_time,
        round_ids=written,
        again=again,
        ms=(time.perf_counter() - started) * 1000,
    )
    return written


def _groups(run: Run, close_time: int, ids: Sequence[int]) -> dict[tuple[str, str], list[Instrument]]:
    """The undecided instruments by market class and calendar: one pooled model and one time axis each."""
    decided = set(
        Round.objects.filter(
            instrument_id__in=ids, horizon_s=settings.HORIZON_S, close_time=clock.from_epoch(close_time)
        ).values_list("instrument_id", flat=True)
    )
    groups: dict[tuple[str, str], list[Instrument]] = defaultdict(list)
    waiting = Instrument.objects.filter(venue_id=run.venue_id, pk__in=set(ids) - decided).select_related("venue")
    for instrument in waiting.order_by("pk"):
        groups[instrument.market_class, instrument.calendar].append(instrument)
    return groups


def _market_of(group: list[Instrument]) -> list[Instrument]:
    """All that voters of this class learn from, and the group itself: a minute may come in parts.

    Venues close quiet instruments later than others. What the market did is read of all of them, whoever is decided.
    """
    first = group[0]
    followed = Instrument.objects.filter(
        venue_id=first.venue_id, market_class=first.market_class, calendar=first.calendar, followed=True
    )
    return sorted({one.pk: one for one in (*followed, *group)}.values(), key=lambda one: one.pk)


def _window(run: Run, ids: list[int], calendar: str) -> LiveWindow:
    """The live window of these instruments: a minute then costs its own rows, not those of the whole look-back."""
    key = run.pk, run.started_at, calendar, tuple(ids)
    with _windows_lock:
        window = _windows.pop(key, None) or LiveWindow(ids, DAY_BARS, calendar=calendar)
        _windows[key] = window  # the newest is the last
        while len(_windows) > WINDOWS:
            del _windows[next(iter(_windows))]
    return window


@dataclass(frozen=True, slots=True)
class Asked:
    """A group whose local voters have answered, and whose language models may still be thinking."""

    group: list[Instrument]
    panel: Panel  # of the group
    samples: Samples  # of its whole market; rows of the group alone
    scores: quality.Scores
    votes: PanelVotes
    models: dict[str, LoadedModel]
    language: "asking.Asked | None"
    news: News
    outlooks: list[Outlook]


def _ask(run: Run, group: list[Instrument], close_time: int, received: float | None) -> Asked:
    """Load the window and ask everybody: language models first, since they answer in their own time."""
    market_class, calendar = group[0].market_class, group[0].calendar
    market = _market_of(group)
    ids = [instrument.pk for instrument in market]
    rows = np.array([ids.index(instrument.pk) for instrument in group], dtype=np.int64)
    nine = panel_rule(run) == NINE
    with STAGE.labels("load").time():
        day = _window(run, ids, calendar).panel(
            close_time, taint_bars=TAINT_BARS, snapshots=BOOK_SNAPSHOTS, flow_s=SIGHT
        )
        whole, scores = day.last(BARS), quality.scores_of(day.of(rows))
        panel = whole.of(rows)
    with STAGE.labels("features").time():
        samples = samples_of_panel(whole, [instrument.symbol for instrument in market], rows)
    with STAGE.labels("news").time():
        news = news_of(group, close_time)
    language = ask_language(group, panel, samples.matrix(), close_time, received, news) if nine else None
    votes, models = _ask_local(run, market_class, samples, close_time)
    with STAGE.labels("agents").time():
        ahead = outlooks(run.venue_id, market_class, samples, close_time)
    return Asked(group, panel, samples, scores, votes, models, language, news, ahead)


def _decide(run: Run, asked: Asked, close_time: int, received: float | None, started: float) -> list[int]:
    """Take the group's decisions and save them; ids of the rounds written."""
    decided = _decide_group(run, asked, close_time, received, started)
    with STAGE.labels("save").time():
        return publishing.save_rounds(run, decided)


def _decide_group(run: Run, asked: Asked, close_time: int, received: float | None, started: float) -> list[Decided]:
    group, panel, votes = asked.group, asked.panel, asked.votes
    if asked.language is not None:
        with STAGE.labels("language").time():
            votes = with_language(votes, asked.language.votes())
    with STAGE.labels("context").time():
        contexts = _contexts(group, panel, _ages(votes, asked.models, close_time), asked.scores, asked.news)
    with STAGE.labels("stack").time():
        stacked = _stacked(run, group[0].market_class, asked.samples, votes)
    with STAGE.labels("decide").time():
        decisions = _decisions(run, group[0].market_class, votes, contexts, stacked)
    with STAGE.labels("lenses").time():
        sights = look_at(VECTOR, asked.samples.matrix(), [asked.news.figures(row) for row in range(len(group))])
    arrivals = [float(at) for at in panel.observed_at[:, -1]]
    return [
        Decided(
            instrument=instrument,
            close_time=close_time,
            decision=decisions[row],
            context=contexts[row],
            ballot=_ballot(votes, row),
            latency_ms=votes.latency_ms[row],
            model_ids=votes.model_ids,
            observed_at=arrivals[row],
            late=_is_late(run, close_time, arrivals[row], arrivals[row] if received is None else received),
            decision_ms=(time.perf_counter() - started) * 1000,
            candle=tuple(panel.ohlcv[row, -1].tolist()),
            lenses=sights[row],
            outlook=asked.outlooks[row],
        )
        for row, instrument in enumerate(group)
    ]


def _decisions(
    run: Run, market_class: str, votes: PanelVotes, contexts: list[Context], stacked: list[Stacked | None]
) -> list[Decision]:
    rules = rules_of(run)
    calibration = _calibration(run, market_class, rules.panel)
    live = live_bins(run.venue_id)
    return [
        decide(_ballot(votes, row), context, calibration, rules, live=live, stack=stacked[row])
        for row, context in enumerate(contexts)
    ]


def _stacked(run: Run, market_class: str, samples: Samples, votes: PanelVotes) -> list[Stacked | None]:
    """What the stack says of each instrument; nothing where there is none, or where it fails: a round goes on."""
    loaded = stack_of(run.venue_id, market_class)
    if loaded is None:
        return [None] * len(samples)
    from models_ml.agents.meta import context_of  # a worker's: web code imports this module as well

    try:
        market = samples.market[samples.index[:, 0]]
        around = context_of(samples, VECTOR)
        said = loaded.stack.calibrated(votes.probabilities.astype(np.float64), around, market)
        ties = loaded.stack.ties.of(market)
    except Exception:  # one model's failure, whatever it is, never stops a round
        log.exception("stack_failed", model_id=loaded.model_id)
        return [None] * len(samples)
    validation = {number: Bin(n, right) for number, (n, right) in loaded.bins.items()}
    rows = zip(said.probability, said.lower, said.upper, ties, strict=True)
    return [Stacked(Chance(float(up), float(low), float(high), float(tie)), validation) for up, low, high, tie in rows]


def _ballot(votes: PanelVotes, row: int) -> Ballot:
    return Ballot(votes.probabilities[row], votes.direction[row], votes.abstained[row])


def _is_late(run: Run, close_time: int, arrived: float, received: float) -> bool:
    """Late when the candle came too long after its close, or the decision too long after the candle.

    A recording has no arrival delay: only the wall time of the decision counts there.
    """
    delay = 0.0 if run.venue.kind == Venue.Kind.REPLAY else arrived - close_time
    took = clock.wall_now().timestamp() - received
    return not (delay <= settings.LATE_AFTER_S and took <= settings.LATE_AFTER_S)


def _ask_local(
    run: Run, market_class: str, samples: Samples, close_time: int
) -> tuple[PanelVotes, dict[str, LoadedModel]]:
    """The votes of the local voters on every instrument of the group."""
    models = {
        seat: model
        for seat, model in champions(run.venue_id, market_class).items()
        if not isinstance(model, LoadedModel)
        or model.trained_until <= close_time  # nobody votes on what it learned from
    }
    with STAGE.labels("votes").time():
        votes = vote(samples, models, deadline_s=settings.VOTER_DEADLINE_S, now=close_time)
    return votes, {seat: model for seat, model in models.items() if isinstance(model, LoadedModel)}


def samples_of_panel(panel: Panel, symbols: Sequence[str], decided: IntArray | None = None) -> Samples:
    """The voters' input at the panel's last row; only that row has features, sequence voters read candles.

    Args:
        panel: the whole market, I instruments.
        symbols: (I,), which say on which side of a pair the dollar stands.
        decided: (N,) rows of the instruments that are decided, all of them by default; only these have own features.
    """
    count, bars = panel.ohlcv.shape[:2]
    decided = np.arange(count) if decided is None else decided
    dollar = dollar_sides(symbols)
    features = build_last(panel.open_times, panel.ohlcv, decided, dollar=dollar)
    index = np.stack([decided, np.full(len(decided), bars - 1)], axis=1)
    return Samples(
        panel.open_times, panel.ohlcv, features, panel.instrument_ids, index, panel.books, dollar, flow=panel.flow
    )


def _ages(votes: PanelVotes, models: dict[str, LoadedModel], close_time: int) -> NDArray[np.float64]:
    """(I,) age of the oldest voting model over its limit; a seat that abstains makes nothing older."""
    ages = np.zeros(len(votes.abstained))
    for seat, model in models.items():
        voted = votes.abstained[:, SEATS.index(seat)] == 0
        age = (close_time - model.trained_until) / VOTERS[seat].max_age
        ages = np.where(voted, np.maximum(ages, age), ages)
    return ages


def _contexts(
    group: list[Instrument], panel: Panel, ages: NDArray[np.float64], scores: quality.Scores, news: News
) -> list[Context]:
    moves: Volatility = volatility(panel.ohlcv)
    mined = watching.confirming(group[0].venue_id, group[0].market_class, panel.open_times, panel.ohlcv)
    confirmed = np.sign(patterns(panel.ohlcv, rows=1)[:, -1] + mined)
    hours, days = scores
    return [
        Context(
            close=float(panel.ohlcv[row, -1, 3]),
            atr=float(moves.atr[row]),
            volatility=float(moves.sigma[row]),
            volatility_percentile=float(moves.percentile[row]),
            range_atr=float(moves.range_atr[row]),
            pattern=int(confirmed[row]),
            taint=TaintFlag(int(panel.taint[row])),
            quality_hour=hours.get(instrument.pk),
            quality_day=days.get(instrument.pk),
            model_age=float(ages[row]),
            market_class=instrument.market_class,
            to_event=float(news.to_event[row]),
            since_event=float(news.since_event[row]),
        )
        for row, instrument in enumerate(group)
    ]


def _calibration(run: Run, market_class: str, panel: PanelRule) -> Calibration | None:
    row = calibration_of(run.venue_id, market_class, panel.seats)
    return Calibration.from_knots(row.knots) if row else None
