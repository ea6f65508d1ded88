"""Every due minute is decided once or missed with a reason."""

import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from lib import clock
from lib.postgres import ensure_partitions
from markets.models import Instrument, Run
from markets.schedule import deactivate
from signals import due, tasks
from signals.models import Outcome, Round
from signals.publishing import save_rounds
from tests.factories_market import MINUTE, decided, instruments_of, issue, make_run, store

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
EPOCH = clock.epoch(NOON)


@pytest.fixture
def run() -> Run:
    """A market of two, due from noon on."""
    ensure_partitions("signals_round", NOON, NOON)
    return make_run(due_from=NOON)


@pytest.fixture
def btc(run: Run) -> Instrument:
    return instruments_of(run)[0]


def minutes(pairs: list[tuple[int, int]], instrument: Instrument) -> list[int]:
    """Minutes after noon that `pairs` name for `instrument`."""
    return [(at - EPOCH) // 60 for id_, at in pairs if id_ == instrument.pk]


def missed() -> Counter[tuple[int, int, str]]:
    """(instrument, minute after noon, reason) of every missed round."""
    rows = Round.objects.filter(state="missed").values_list("instrument_id", "close_time", "reason")
    return Counter((id_, (clock.epoch(at) - EPOCH) // 60, reason) for id_, at, reason in rows)


# ---- what is open


def test_open_is_what_is_due_and_has_no_round(run: Run, btc: Instrument) -> None:
    save_rounds(run, [decided(btc, NOON + MINUTE)])
    open_ = due.undecided(run, NOON, NOON + 3 * MINUTE)
    assert minutes(open_, btc) == [0, 2, 3]
    assert minutes(open_, instruments_of(run)[1]) == [0, 1, 2, 3]


def test_nothing_is_open_before_it_was_activated_or_after_it_was_switched_off(run: Run, btc: Instrument) -> None:
    deactivate(btc, NOON + 2 * MINUTE)
    assert minutes(due.undecided(run, NOON - 5 * MINUTE, NOON + 5 * MINUTE), btc) == [0, 1]


@pytest.mark.parametrize("ahead_s", [0.001, 0.5, 0.999])
def test_a_minute_that_has_not_ended_is_not_open(run: Run, btc: Instrument, ahead_s: float) -> None:
    """A whole second of rounding would miss a minute before it is over."""
    assert minutes(due.undecided(run, NOON, NOON + MINUTE - timedelta(seconds=ahead_s)), btc) == [0]
    assert minutes(due.undecided(run, NOON, NOON + MINUTE), btc) == [0, 1]


def test_what_was_due_before_it_was_unticked_stays_due(run: Run, btc: Instrument) -> None:
    Instrument.objects.filter(pk=btc.pk).update(followed=False)
    deactivate(btc, NOON + MINUTE)
    assert minutes(due.undecided(run, NOON, NOON + 5 * MINUTE), btc) == [0]


def test_another_market_is_not_ours(run: Run) -> None:
    other = make_run("replay", symbols=("SOL/USDT",), due_from=NOON)
    assert {id_ for id_, _ in due.undecided(other, NOON, NOON)} == {instruments_of(other)[0].pk}
    assert len(due.undecided(run, NOON, NOON)) == 2


def test_a_round_of_another_horizon_decides_nothing(run: Run, btc: Instrument) -> None:
    Round.objects.create(instrument=btc, horizon_s=300, close_time=NOON, state="silent", decided_at=NOON)
    assert minutes(due.undecided(run, NOON, NOON), btc) == [0]


# ---- writing what was missed


def test_missed_rounds_are_one_statement(btc: Instrument) -> None:
    pairs = [(btc.pk, EPOCH + 60 * n, "platform_down") for n in range(500)]
    with CaptureQueriesContext(connection) as asked:
        assert due.write_missed(pairs) == 500
    assert len([query for query in asked if "INSERT" in query["sql"]]) == 1
    row = Round.objects.latest("close_time")
    assert (row.state, row.reason, row.horizon_s) == ("missed", "platform_down", 60)
    assert (row.abstained, row.p_up, row.direction, row.probability) == ([], [], 0, None)
    assert (clock.wall_now() - row.decided_at).total_seconds() < 60


def test_what_was_decided_meanwhile_stays(run: Run, btc: Instrument) -> None:
    save_rounds(run, [decided(btc, NOON)])
    assert due.write_missed([(btc.pk, EPOCH, "no_candle"), (btc.pk, EPOCH + 60, "no_candle")]) == 1
    assert Round.objects.get(close_time=NOON).state == "issued"
    assert missed() == {(btc.pk, 1, "no_candle"): 1}


def test_nothing_missed_writes_nothing() -> None:
    with CaptureQueriesContext(connection) as asked:
        assert due.write_missed([]) == 0
    assert len(asked) == 0


# ---- the platform was off


def test_every_minute_the_platform_was_off_is_missed_at_start(run: Run) -> None:
    both = instruments_of(run)
    save_rounds(run, [decided(each, NOON) for each in both])
    with CaptureQueriesContext(connection) as asked:
        assert due.account_for_downtime(run, NOON + timedelta(hours=5, seconds=30)) == 600
    assert len([query for query in asked if "INSERT" in query["sql"]]) == 1
    assert missed() == Counter((each.pk, n, "platform_down") for each in both for n in range(1, 301))
    assert due.account_for_downtime(run, NOON + timedelta(hours=5, seconds=30)) == 0


def test_downtime_over_the_end_of_a_month_has_its_partition(run: Run, btc: Instrument) -> None:
    save_rounds(run, [decided(btc, NOON)])
    end = datetime(2026, 5, 1, 0, 1, tzinfo=UTC)
    deactivate(btc, end - MINUTE)
    written = due.account_for_downtime(run, NOON + timedelta(minutes=1))
    assert written == 3, "the other instrument was due at noon as well"
    assert due.write_missed([(btc.pk, clock.epoch(end), "platform_down")]) == 1


def test_a_market_that_never_decided_was_down_since_it_was_due(run: Run) -> None:
    assert due.account_for_downtime(run, NOON + timedelta(hours=1)) == 2 * 61


def test_a_market_that_was_never_due_was_not_down() -> None:
    assert due.account_for_downtime(make_run("replay", symbols=("SOL/USDT",)), NOON + timedelta(hours=1)) == 0


def test_rounds_of_another_market_say_nothing_about_this_one(run: Run) -> None:
    other = make_run("replay", symbols=("SOL/USDT",), due_from=NOON)
    save_rounds(run, [decided(instruments_of(run)[0], NOON)])
    assert due.account_for_downtime(other, NOON + timedelta(hours=1)) == 61


# ---- the sweeper


def test_a_stored_but_undecided_minute_is_rescued(run: Run, btc: Instrument) -> None:
    for n in range(3):
        store(btc, NOON + n * MINUTE, 100, 101)  # they close at minutes 1, 2, 3
    found = due.rescuable(run, NOON + 3 * MINUTE + timedelta(seconds=4))
    assert found == {EPOCH + 60 * n: [btc.pk] for n in (1, 2, 3)}


@pytest.mark.parametrize(("after_s", "found"), [(2.9, [1]), (3.0, [1, 2])])
def test_the_newest_minute_is_left_to_the_ordinary_task(
    run: Run, btc: Instrument, settings: Settings, after_s: float, found: list[int]
) -> None:
    settings.LATE_AFTER_S = 3.0
    store(btc, NOON, 100, 101)
    store(btc, NOON + MINUTE, 100, 101)
    rescued = due.rescuable(run, NOON + 2 * MINUTE + timedelta(seconds=after_s))
    assert [(at - EPOCH) // 60 for at in rescued] == found


@pytest.mark.parametrize(("after_min", "rescued"), [(10, True), (11, False)])
def test_after_ten_minutes_it_is_missed_and_says_it_was_never_decided(
    run: Run, btc: Instrument, after_min: int, rescued: bool
) -> None:
    store(btc, NOON, 100, 101)
    now = NOON + MINUTE + after_min * MINUTE + timedelta(seconds=20)
    assert (EPOCH + 60 in due.rescuable(run, now)) == rescued
    due.sweep_missed(run, now)
    assert missed()[btc.pk, 1, "not_decided"] == (not rescued)
    assert missed()[btc.pk, 0, "no_candle"] == 1


@pytest.mark.parametrize(("after_s", "lost"), [(89, 0), (90, 1)])
def test_without_a_candle_it_is_missed_after_the_grace(run: Run, btc: Instrument, after_s: int, lost: int) -> None:
    due.sweep_missed(run, NOON + timedelta(seconds=after_s))
    assert missed()[btc.pk, 0, "no_candle"] == lost


def test_the_sweep_looks_two_hours_back(run: Run, btc: Instrument) -> None:
    due.sweep_missed(run, NOON + timedelta(hours=3))
    assert min(minute for id_, minute, _ in missed() if id_ == btc.pk) == 60


def test_a_recording_settles_each_minute_before_the_next(run: Run) -> None:
    btc, eth = instruments_of(run)
    store(btc, NOON - MINUTE, 100, 101)
    assert not due.settle_minute(run, EPOCH), "one is still to be decided"
    assert missed() == {(eth.pk, 0, "no_candle"): 1}
    save_rounds(run, [decided(btc, NOON)])
    assert due.settle_minute(run, EPOCH)
    assert Round.objects.count() == 2


# ---- the tasks, on the wall clock


@pytest.fixture
def now() -> datetime:
    """The last full minute that the sweep may rescue."""
    return clock.floor_minute(clock.wall_now() - timedelta(seconds=10))


@pytest.fixture
def live(now: datetime) -> Run:
    """A live market, due since five minutes ago, one instrument with candles and one without."""
    ensure_partitions("signals_round", now - timedelta(hours=1), now)
    run = make_run("live", due_from=now - 4 * MINUTE)
    for n in range(-4, 1):
        store(instruments_of(run)[0], now + (n - 1) * MINUTE, 100, 101)
    return run


def state(run: Run) -> Counter[tuple[int, datetime, str, str]]:
    """Every round of the run."""
    rows = Round.objects.filter(instrument__venue_id=run.venue_id)
    return Counter(rows.values_list("instrument_id", "close_time", "state", "reason"))


def test_the_sweep_decides_late_what_has_a_candle_and_misses_the_rest(live: Run, now: datetime) -> None:
    btc, eth = instruments_of(live)
    tasks.sweep()
    rounds = state(live)
    assert {(id_, at) for id_, at, how, _ in rounds if how == "late"} == {(btc.pk, now - n * MINUTE) for n in range(5)}
    lost = {at for id_, at, how, why in rounds if (id_, how, why) == (eth.pk, "missed", "no_candle")}
    assert {now - n * MINUTE for n in (2, 3, 4)} <= lost
    assert set(rounds.values()) == {1}


def test_tasks_that_come_twice_or_late_or_in_any_order_change_nothing(live: Run, now: datetime) -> None:
    """Fault 24: the end state is that of each task once."""
    btc = instruments_of(live)[0]
    signal = issue(live, btc, now - 3 * MINUTE)
    hour_ago = clock.epoch(now - timedelta(hours=1))
    calls: list[tuple[Callable[..., object], tuple[object, ...]]] = [
        (tasks.sweep, ()),
        (tasks.resolve_outcomes, ()),
        (tasks.decide_minute, (clock.epoch(now), [btc.pk], time.time())),
    ]
    for seed in range(3):
        rng = random.Random(seed)
        again = [call for call in calls for _ in range(rng.randint(1, 3))]
        rng.shuffle(again)
        for task, args in again:
            task(*args)
    assert set(state(live).values()) == {1}
    assert Outcome.objects.filter(signal=signal).count() == 1
    assert not Round.objects.filter(close_time__lt=clock.from_epoch(hour_ago)).exists()


@pytest.mark.django_db(transaction=True)
def test_sweepers_at_once_write_one_round_a_minute(live: Run) -> None:
    """Faults 19, 22 and 23: whoever sweeps, and however many."""
    together = Barrier(4)

    def work(_: int) -> int:
        together.wait(10)
        try:
            return tasks.sweep()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        written = sum(pool.map(work, range(4)))
    rounds = state(live)
    assert written == len(rounds)
    assert set(rounds.values()) == {1}


@pytest.mark.parametrize(("kind", "how"), [("replay", "running"), ("live", "loading"), ("live", "ended")])
def test_the_wall_clock_sweeps_no_recording_and_no_market_that_does_not_run(now: datetime, kind: str, how: str) -> None:
    ensure_partitions("signals_round", now, now)
    make_run(kind, due_from=now - 10 * MINUTE, state=how)
    assert tasks.sweep() == 0
    assert Round.objects.count() == 0


def test_without_a_market_the_tasks_do_nothing() -> None:
    assert (tasks.sweep(), tasks.resolve_outcomes(), tasks.decide_minute(EPOCH, [1])) == (0, 0, 0)


@pytest.mark.parametrize(
    ("kind", "how", "void"), [("replay", "ended", 1), ("replay", "running", 0), ("live", "ended", 0)]
)
def test_only_a_recording_that_ended_voids_what_is_open(kind: str, how: str, void: int) -> None:
    run = make_run(kind, state=how)
    Run.objects.filter(pk=run.pk).update(market_at=NOON + 5 * MINUTE if kind == "replay" else None)
    at = NOON if kind == "replay" else clock.floor_minute(clock.wall_now() - timedelta(minutes=3))
    issue(run, instruments_of(run)[0], at)
    assert tasks.resolve_outcomes() == void
    assert Outcome.objects.filter(reason="recording_ended").count() == void


def test_old_push_events_are_forgotten(settings: Settings, run: Run, btc: Instrument) -> None:
    save_rounds(run, [decided(btc, NOON)])
    assert tasks.forget_push_events() == 0
    settings.PUSH_RETENTION = timedelta(0)
    assert tasks.forget_push_events() == 2
