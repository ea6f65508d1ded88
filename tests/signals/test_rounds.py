"""One minute of one shard: loaded, asked, decided, saved."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from lib import clock
from lib.postgres import ensure_partitions
from markets.books import FlowMinute, store_flow
from markets.candles import load_panel
from markets.models import Instrument, Run
from markets.values import TaintFlag, Trade
from models_ml.agents.volatility import volatility
from models_ml.features import COLUMNS, VECTOR, build_vector
from models_ml.features.microstructure import SIGHT
from models_ml.voters import SEATS, VOTERS
from models_ml.votes import AbstainReason
from signals import questions, rounds
from signals.consensus import NINE, SEVEN
from signals.levels import TierRules
from signals.models import Round, Signal
from signals.risk import RiskRules
from signals.rounds import BARS, decide_minute
from tests.factories_market import MINUTE, instruments_of, make_run, store_walk

pytestmark = pytest.mark.django_db
CLOSE = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
AT = clock.epoch(CLOSE)


@pytest.fixture(autouse=True)
def patient(settings: Settings) -> None:
    """A first decision pays for imports on a busy machine: only the tests of lateness have the limit of life."""
    settings.LATE_AFTER_S = 60.0


@pytest.fixture
def run() -> Run:
    """A market of two with all the candles a decision reads."""
    return market("simulated")


def market(kind: str) -> Run:
    ensure_partitions("signals_round", CLOSE, CLOSE)
    run = make_run(kind, due_from=CLOSE)
    for seed, instrument in enumerate(instruments_of(run)):
        store_walk(instrument, CLOSE, BARS, seed=seed)
    return run


def ids(run: Run) -> list[int]:
    return [instrument.pk for instrument in instruments_of(run)]


def test_a_minute_without_models_is_silent_and_says_why(run: Run) -> None:
    written = decide_minute(AT, ids(run), received=time.time())
    assert sorted(written) == sorted(Round.objects.values_list("pk", flat=True))
    for row in Round.objects.all():
        assert (row.state, row.reason, row.close_time) == ("silent", "too_few_votes", CLOSE)
        words = {seat: AbstainReason(why).word for seat, why in zip(SEATS, row.abstained, strict=True)}
        assert words == {seat: "no_key" if VOTERS[seat].llm else "untrained" for seat in SEATS}
        assert (row.directions, row.model_ids) == ([None] * 9, [0] * 9)
        assert row.observed_at == CLOSE + timedelta(seconds=0.4)
    assert Signal.objects.count() == 0


def test_the_context_is_that_of_the_window(run: Run) -> None:
    btc = instruments_of(run)[0]
    decide_minute(AT, ids(run), received=time.time())
    panel = load_panel([btc.pk], AT, BARS)
    moves, row = volatility(panel.ohlcv), Round.objects.get(instrument=btc)
    assert row.close == panel.ohlcv[0, -1, 3]
    assert row.atr == pytest.approx(moves.atr[0])
    assert row.volatility == pytest.approx(moves.sigma[0])
    assert row.risk_parts["volatility"] == pytest.approx(moves.percentile[0])
    assert row.risk_parts["age"] == 0.0
    assert row.decision_ms is not None
    assert row.decision_ms > 0


def test_the_window_is_exactly_what_the_voters_look_back_on(run: Run) -> None:
    panel = load_panel(ids(run), AT, BARS)
    samples = rounds.samples_of_panel(panel, ["BTC/USDT", "ETH/USDT"])
    assert samples.index.tolist() == [[0, BARS - 1], [1, BARS - 1]]
    assert samples.features.shape == (2, 1, len(VECTOR)), "only the row that is decided has features"
    whole = build_vector(panel.open_times, panel.ohlcv)
    np.testing.assert_allclose(samples.features[:, -1], whole[:, -1], rtol=1e-5, atol=1e-6)
    assert np.isfinite(samples.features[:, -1, : len(COLUMNS)]).all(), "a full window leaves no column unknown"


def test_voters_hear_five_minutes_of_trades_and_language_models_the_last_one(run: Run) -> None:
    btc = instruments_of(run)[0]
    for back in range(5, 0, -1):
        minute = FlowMinute(AT - 60 * back)
        minute.add(Trade("BTC/USDT", minute.minute + 30.0, 100.0, float(back), buy=back % 2 == 0))
        store_flow(minute.minute, {btc.pk: minute.packed()})
    panel = load_panel(ids(run), AT, BARS, flow_s=SIGHT)
    samples = rounds.samples_of_panel(panel, ["BTC/USDT", "ETH/USDT"])
    assert samples.flow is not None
    assert samples.flow.times[[0, -1]].tolist() == [AT - 300, AT - 1]
    assert (samples.flow.buy[0].sum(), samples.flow.sell[0].sum()) == (6.0, 9.0)
    told = questions._traded(samples.flow, 0)
    assert told == {"bought": 0.0, "sold": 1.0, "trades": 1.0, "largest": 1.0}
    assert questions._traded(samples.flow, 1) is None, "nothing was recorded of the other"


def test_who_comes_late_is_decided_on_the_whole_market() -> None:
    """Some venues close a quiet instrument seconds after the others: alone it knew nothing of what they did."""
    ensure_partitions("signals_round", CLOSE, CLOSE)
    run = make_run(symbols=("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT"), due_from=CLOSE)
    *quick, slow = instruments_of(run)
    for seed, instrument in enumerate(quick):
        store_walk(instrument, CLOSE, BARS, seed=seed)
    store_walk(slow, CLOSE - MINUTE, BARS - 1, seed=9)
    first = rounds._ask(run, quick[::-1], AT, time.time())
    assert first.panel.instrument_ids.tolist() == [one.pk for one in quick[::-1]]
    known = dict(zip(VECTOR, first.samples.matrix().T, strict=True))
    assert np.isfinite(known["market_return_60"]).all(), "without the one that is missing"
    store_walk(slow, CLOSE, 1, seed=9)
    late, whole = (rounds._ask(run, group, AT, time.time()) for group in ([slow], [*quick, slow]))
    np.testing.assert_array_equal(late.samples.matrix()[0], whole.samples.matrix()[-1])
    own, others = late.samples.matrix()[0, : len(COLUMNS)], late.samples.matrix()[0, len(COLUMNS) :]
    assert (np.isfinite(own).mean(), np.isfinite(others).mean()) > (0.99, 0.9)
    np.testing.assert_array_equal(late.panel.ohlcv[0], whole.panel.ohlcv[-1])
    assert len(late.votes.abstained) == len(late.outlooks) == 1


def test_a_minute_that_comes_in_parts_is_decided_part_by_part(run: Run) -> None:
    for id_ in ids(run):
        assert len(decide_minute(AT, [id_], received=time.time())) == 1
    assert {row.close for row in Round.objects.all()} == {
        load_panel([id_], AT, 1).ohlcv[0, -1, 3] for id_ in ids(run)
    }, "each its own candle"


def test_a_second_call_decides_nothing(run: Run) -> None:
    first = decide_minute(AT, ids(run)[:1], received=time.time())
    assert decide_minute(AT, ids(run)[:1], received=time.time()) == []
    second = decide_minute(AT, ids(run), received=time.time())
    assert (len(first), len(second)) == (1, 1)
    assert Round.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_decide_a_minute_once(run: Run) -> None:
    together = Barrier(4)

    def work(_: int) -> list[int]:
        together.wait(10)
        try:
            return decide_minute(AT, ids(run), received=time.time())
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        written = [id_ for found in pool.map(work, range(4)) for id_ in found]
    assert sorted(written) == sorted(Round.objects.values_list("pk", flat=True))
    assert len(written) == 2


def test_instruments_of_another_market_are_ignored(run: Run) -> None:
    other = market("live")
    assert decide_minute(AT, [*ids(run), *ids(other)], received=time.time())
    assert {row.instrument_id for row in Round.objects.all()} == set(ids(other)), "the newest run is the market"


def test_classes_and_calendars_are_decided_apart(run: Run) -> None:
    eth = instruments_of(run)[1]
    Instrument.objects.filter(pk=eth.pk).update(market_class="forex")
    assert len(decide_minute(AT, ids(run), received=time.time())) == 2


def test_the_number_of_queries_does_not_grow_with_the_shard(run: Run) -> None:
    with CaptureQueriesContext(connection) as one:
        decide_minute(AT, ids(run)[:1], received=time.time())
    Round.objects.all()
    with CaptureQueriesContext(connection) as two:
        decide_minute(AT - 60, ids(run), received=time.time())
    assert len(two) <= len(one)


def test_a_hole_in_the_window_taints_it() -> None:
    ensure_partitions("signals_round", CLOSE, CLOSE)
    run = make_run(due_from=CLOSE)
    btc, eth = instruments_of(run)
    store_walk(btc, CLOSE, BARS)
    store_walk(eth, CLOSE - 6 * MINUTE, BARS - 6)
    store_walk(eth, CLOSE, 5)
    decide_minute(AT, ids(run), received=time.time())
    row = Round.objects.get(instrument=eth)
    assert (row.state, row.reason) == ("tainted", "tainted_data")
    assert TaintFlag(row.taint) & TaintFlag.GAP
    assert "tainted_data" in row.vetoes
    assert Round.objects.get(instrument=btc).state == "silent", "a hole in one does not touch the other"


# ---- in time or late


def one(kind: str, *, arrival_s: float, received: float | None) -> Round:
    run = make_run(kind, symbols=("BTC/USDT",), due_from=CLOSE)
    ensure_partitions("signals_round", CLOSE, CLOSE)
    (btc,) = instruments_of(run)
    store_walk(btc, CLOSE, BARS, arrival_s=arrival_s)
    decide_minute(AT, [btc.pk], received=received)
    return Round.objects.get()


@pytest.mark.parametrize(("arrival_s", "late"), [(0.4, False), (3.0, False), (3.001, True), (40.0, True)])
def test_a_candle_that_came_late_makes_a_late_round(settings: Settings, arrival_s: float, late: bool) -> None:
    settings.LATE_AFTER_S = 3.0
    row = one("live", arrival_s=arrival_s, received=time.time())
    assert (row.state == "late") == late
    assert (row.reason == "late_data_or_decision") == late


@pytest.mark.parametrize(("ago_s", "late"), [(0.0, False), (100.0, True)])
def test_a_decision_that_took_long_makes_a_late_round(ago_s: float, late: bool) -> None:
    assert (one("live", arrival_s=0.4, received=time.time() - ago_s).state == "late") == late


def test_without_a_time_of_receipt_the_stored_one_counts() -> None:
    assert one("live", arrival_s=0.4, received=None).state == "late", "that candle arrived months ago"


def test_in_a_recording_only_the_decision_can_be_late() -> None:
    assert one("replay", arrival_s=3600.0, received=time.time()).state != "late"


def test_in_a_recording_a_slow_decision_is_late() -> None:
    assert one("replay", arrival_s=0.0, received=time.time() - 100).state == "late"


def test_a_minute_whose_candle_never_came_is_late_and_stale() -> None:
    run = make_run(symbols=("BTC/USDT",), due_from=CLOSE)
    ensure_partitions("signals_round", CLOSE, CLOSE)
    (btc,) = instruments_of(run)
    store_walk(btc, CLOSE - MINUTE, 5)
    decide_minute(AT, [btc.pk], received=time.time())
    row = Round.objects.get()
    assert (row.state, row.observed_at, row.close) == ("late", None, None)
    assert TaintFlag(row.taint) & TaintFlag.STALE


# ---- what is fixed before the minute


@pytest.mark.parametrize(
    ("kind", "gemini", "grok", "panel"),
    [
        ("live", "", "", SEVEN),
        ("live", "key", "", NINE),
        ("live", "", "key", NINE),
        ("simulated", "key", "key", NINE),
        ("replay", "key", "key", SEVEN),
    ],
)
def test_the_panel_in_force(settings: Settings, kind: str, gemini: str, grok: str, panel: object) -> None:
    settings.GEMINI_API_KEY, settings.XAI_API_KEY = gemini, grok
    settings.GEMINI_MODEL = settings.XAI_MODEL = "a-model"
    assert rounds.panel_rule(make_run(kind)) == panel


def test_the_operators_settings_are_the_rules(settings: Settings) -> None:
    settings.RISK_CEILING, settings.QUALITY_HOUR_FLOOR, settings.QUALITY_DAY_FLOOR = 0.5, 0.9, 0.8
    settings.PAYOUT, settings.TIER_1_MARGIN, settings.TIER_2_MARGIN, settings.FEE_BPS = 0.7, 0.04, 0.02, 3.0
    settings.CONSERVATIVE = True
    rules = rounds.rules_of(make_run())
    assert rules.risk == RiskRules(ceiling=0.5, quality_hour_floor=0.9, quality_day_floor=0.8)
    assert rules.tiers == TierRules(payout=0.7, first=0.04, second=0.02, fee_bps=3.0)
    assert rules.conservative


def test_without_a_market_nothing_is_decided() -> None:
    assert decide_minute(AT, [1, 2]) == []
