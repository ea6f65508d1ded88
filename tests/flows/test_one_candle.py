"""One candle, all the way: spoken by a venue, stored, decided, issued, told, judged. Rows of docs/architecture.md.

The panel is trained (tests/trained.py); the frame is Binance's documented kline event; every step is the function that
takes it in life. Row 6 has volatility as its only context, row 12 has no ledger leaf yet.
"""

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import orjson
import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts.access import Viewer
from config.celery import app
from lib import clock
from lib.postgres import ensure_partitions
from markets.candles import Source, load_panel
from markets.events import candle_closed
from markets.minutes import Arrival, Batch
from markets.models import Candle, Instrument, Run
from markets.schedule import activate
from markets.storing import store_batch
from markets.venues.ccxt_venue import parse
from models_ml.agents.volatility import volatility
from models_ml.champions import calibration_of, champions, warm
from models_ml.features import COLUMNS, VECTOR
from models_ml.panel import vote
from models_ml.voters import SEATS as PANEL
from signals import push, rounds
from signals.access import access_signals
from signals.confidence import Calibration
from signals.consensus import SEVEN, count
from signals.groups import Tier
from signals.models import Outcome, PushEvent, Round, Signal
from signals.rounds import BARS, samples_of_panel
from signals.track_record import live_bins
from tests.factories_market import MINUTE, instruments_of, store_series
from tests.trained import SEATS, SIGMA, forecastable

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("trained")]
LIVE = Tier(0, None, None)


@pytest.fixture
def eager() -> Iterator[None]:
    """Tasks run where they are sent, so that one test sees them end."""
    app.conf.task_always_eager = app.conf.task_eager_propagates = True
    yield
    app.conf.task_always_eager = app.conf.task_eager_propagates = False


@pytest.fixture
def heard() -> Iterator[list[push.Message]]:
    """What this process's sockets would be handed."""
    messages: list[push.Message] = []
    push.local.append(messages.append)
    yield messages
    push.local.remove(messages.append)


@pytest.fixture
def close_time() -> datetime:
    """The close of the candle that is followed: the one after it has closed as well, so that the end can be told."""
    return clock.floor_minute(clock.wall_now()) - MINUTE


@pytest.fixture
def market(trained_run: Run, close_time: datetime, settings: Settings) -> Run:
    """The trained market with its candles up to the one that is followed; the last of them rose."""
    settings.VOTER_DEADLINE_S = settings.LATE_AFTER_S = 30  # a busy test machine is not what is tested here
    warm(trained_run.venue_id)
    ensure_partitions("signals_round", close_time, close_time + MINUTE)
    times = clock.epoch(close_time) - clock.MINUTE_S * np.arange(BARS + 1, 1, -1, dtype=np.int64)
    for seed, instrument in enumerate(instruments_of(trained_run), start=11):
        candles = forecastable(2 * BARS, seed)
        end = max(n for n in range(BARS, 2 * BARS) if candles[n - 1, 3] > candles[n - 1, 0] * (1 + SIGMA / 2))
        store_series(instrument, times, candles[end - BARS : end])
        activate(instrument, close_time)
    return trained_run


def speak(instrument: Instrument, open_time: datetime, opened: float, closed: float) -> str:
    """The venue's own words for one closed candle."""
    start = clock.epoch(open_time) * 1000
    kline = {
        "t": start, "T": start + 59_999, "s": instrument.symbol, "i": "1m", "f": 1, "L": 9, "o": f"{opened:.8f}",
        "c": f"{closed:.8f}", "h": f"{max(opened, closed) * 1.0001:.8f}", "l": f"{min(opened, closed) * 0.9999:.8f}",
        "v": "1.25", "n": 9, "x": True, "q": "125.0", "V": "0.5", "Q": "50.0", "B": "0",
    }  # fmt: skip
    return json.dumps({"e": "kline", "E": start + 60_010, "s": instrument.symbol, "k": kline})


def deliver(instruments: list[Instrument], frames: list[str], close_time: datetime) -> None:
    """What a feed does with frames that arrive 0.3 s after the close, on a market clock that stands there."""
    clock.follow(lambda: close_time + timedelta(seconds=0.4))
    seen, batch = close_time.timestamp() + 0.3, Batch()
    for instrument, frame in zip(instruments, frames, strict=True):
        _, interval, candle = parse.kline_event(json.loads(frame))
        assert (interval, candle.closed) == ("1m", True)
        batch.arrivals.append(Arrival(instrument.pk, candle, observed_at=seen, received=time.time()))
    report = store_batch(batch, Source.STREAM)
    assert (report.stored, report.refused) == (len(frames), {})


def last_close(instrument: Instrument) -> float:
    return Candle.objects.filter(instrument=instrument).latest("open_time").close


def fall(instrument: Instrument, open_time: datetime) -> str:
    """A frame of a candle that falls, after which these markets tend to rise."""
    opened = last_close(instrument)
    return speak(instrument, open_time, opened, opened * (1 - 1.2 * SIGMA))


def rise(instrument: Instrument, open_time: datetime) -> str:
    opened = last_close(instrument)
    return speak(instrument, open_time, opened, opened * (1 + SIGMA))


def test_one_candle(
    market: Run,
    close_time: datetime,
    eager: None,
    heard: list[push.Message],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    btc, eth = instruments_of(market)
    news: list[tuple[int, list[int]]] = []

    def listen(close_time: int, instrument_ids: list[int], **_: object) -> None:
        news.append((close_time, instrument_ids))

    candle_closed.connect(listen)

    # 1 to 3: spoken, stored, told upwards on commit; the tasks then run to their end
    with django_capture_on_commit_callbacks(execute=True):
        deliver([btc, eth], [fall(btc, close_time - MINUTE), fall(eth, close_time - MINUTE)], close_time)
        assert news == [], "nothing is told before the commit"
        assert Round.objects.count() == 0
    assert news == [(clock.epoch(close_time), [btc.pk, eth.pk])]

    # 4 and 5: the window ends at the close and leaves no column unknown
    panel = load_panel([btc.pk, eth.pk], clock.epoch(close_time), BARS)
    assert panel.open_times[-1] == clock.epoch(close_time - MINUTE)
    assert panel.taint.tolist() == [0, 0]
    samples = samples_of_panel(panel, [btc.symbol, eth.symbol])
    assert samples.matrix().shape == (2, len(VECTOR))
    assert np.isfinite(samples.matrix()[:, : len(COLUMNS)]).all()
    assert np.isnan(samples.matrix()[:, len(COLUMNS) :]).all(), "two instruments are no market"

    # 7: the same nine answers, asked again by hand, are those the round keeps
    row = Round.objects.get(instrument=btc)
    votes = vote(samples, champions(market.venue_id, "crypto"), deadline_s=30, now=clock.epoch(close_time))
    assert {seat for seat, why in zip(PANEL, row.abstained, strict=True) if why == 0} == set(SEATS)
    for stored, column in ((row.p_down, 0), (row.p_neutral, 1), (row.p_up, 2)):
        asked = votes.probabilities[0, :, column]
        np.testing.assert_allclose(np.array(stored, float), asked, atol=1e-5)
    assert all(row.model_ids[seat] > 0 for seat, why in enumerate(row.abstained) if why == 0)

    # 8 and 9: five of seven agree, and the probability is the calibrated one with its n
    assert (row.state, row.reason, row.direction) == ("issued", "", 1)
    assert (row.seats, row.quorum, row.up_votes) == (7, 5, 5)
    counted = count(votes.direction[0], votes.abstained[0], SEVEN)
    assert counted.direction == 1
    assert row.vote_share == pytest.approx(counted.share)
    found = calibration_of(market.venue_id, "crypto", 7)
    assert found is not None
    calibration = Calibration.from_knots(found.knots)
    assert calibration is not None
    assert row.probability is not None
    assert (
        row.probability in [pytest.approx(value, abs=1e-6) for value in calibration.right] or len(calibration.right) > 1
    )
    assert row.probability_source == "validation"
    assert row.probability_n is not None
    assert row.probability_n >= 0

    # 10 and 11: no veto; one ATR to the stop, two to the target
    moves = volatility(panel.ohlcv)
    assert row.vetoes == []
    assert row.atr == pytest.approx(moves.atr[0])
    signal = Signal.objects.get(round_id=row.pk)
    assert signal.entry == panel.ohlcv[0, -1, 3]
    assert signal.stop == pytest.approx(signal.entry - moves.atr[0])
    assert signal.target == pytest.approx(signal.entry + 2 * moves.atr[0])

    # 12: one round a key, decided in time, with the time the candle came
    assert Round.objects.count() == 2
    assert row.observed_at == close_time + timedelta(seconds=0.3)
    assert (signal.close_time, signal.expires_at) == (close_time, close_time + MINUTE)

    # 13: one row, one event, one frame
    event = next(told for told in heard if isinstance(told, push.Event) and told.kind == "rounds")
    stored_event = PushEvent.objects.get(kind="rounds")
    assert (event.id, event.body, event.venue_id) == (stored_event.pk, stored_event.body, market.venue_id)
    frame = push.frame_for(event, LIVE, None)
    assert frame is not None
    card = next(card for card in orjson.loads(frame)["cards"] if card["instrument"] == btc.pk)
    assert card["id"] == str(signal.public_id)
    assert (card["attrs"]["state"], card["attrs"]["direction"], card["attrs"]["outcome"]) == ("issued", "up", "none")
    assert len(card["votes"]) == 9
    narrowed = push.frame_for(event, LIVE, frozenset({eth.pk}))
    assert narrowed is not None
    assert [card["instrument"] for card in orjson.loads(narrowed)["cards"]] == [eth.pk]
    assert not access_signals(Viewer()).filter(pk=signal.pk).exists(), "a visitor's plan waits a quarter of an hour"

    # 15: the next candle judges it, from its own open to its close
    assert not Outcome.objects.exists()
    opened = last_close(btc)
    with django_capture_on_commit_callbacks(execute=True):
        deliver([btc, eth], [rise(btc, close_time), rise(eth, close_time)], close_time + MINUTE)
    outcome = Outcome.objects.get(signal=signal)
    assert (outcome.result, outcome.revision) == ("won", 1)
    assert outcome.entry == pytest.approx(opened)
    assert outcome.exit == pytest.approx(opened * (1 + SIGMA))
    assert outcome.entry_candle == outcome.exit_candle == close_time
    told = next(told for told in heard if isinstance(told, push.Event) and told.kind == "outcomes")
    judged = next(card for card in orjson.loads(told.body)["cards"] if card["instrument"] == btc.pk)
    assert judged["attrs"]["outcome"] == "won"
    assert sum(past.n for past in live_bins(market.venue_id).values()) == Outcome.objects.count()
    assert Round.objects.filter(instrument=btc).count() == 2, (
        "the candle that judged one minute is the next one's input"
    )


def test_the_same_frames_again_change_nothing(
    market: Run, close_time: datetime, eager: None, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    """Faults 5 and 24 along the whole way: a candle that is spoken and a task that is sent twice."""
    (btc, _) = instruments_of(market)
    frame = fall(btc, close_time - MINUTE)
    with django_capture_on_commit_callbacks(execute=True):
        deliver([btc], [frame], close_time)
    before = list(Round.objects.values()), list(Signal.objects.values()), PushEvent.objects.count()
    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            _, _, candle = parse.kline_event(json.loads(frame))
            batch = Batch([Arrival(btc.pk, candle, close_time.timestamp() + 0.9, time.time())])
            assert store_batch(batch, Source.REST).duplicates == 1
            candle_closed.send(
                sender=None, close_time=clock.epoch(close_time), instrument_ids=[btc.pk], received=time.time()
            )
    assert (list(Round.objects.values()), list(Signal.objects.values()), PushEvent.objects.count()) == before


def test_a_forming_candle_changes_no_decision(market: Run, close_time: datetime) -> None:
    """Fault 9: what has not closed by the decision is not in its window."""
    btc = instruments_of(market)[0]
    deliver([btc], [fall(btc, close_time - MINUTE)], close_time)
    alone = samples_of_panel(load_panel([btc.pk], clock.epoch(close_time), BARS), [btc.symbol])
    deliver([btc], [rise(btc, close_time)], close_time + MINUTE)
    with_next = samples_of_panel(load_panel([btc.pk], clock.epoch(close_time), BARS), [btc.symbol])
    np.testing.assert_array_equal(alone.matrix(), with_next.matrix())
    assert rounds.decide_minute(clock.epoch(close_time), [btc.pk], received=time.time())
    assert Round.objects.get().close == alone.ohlcv[0, -1, 3]
