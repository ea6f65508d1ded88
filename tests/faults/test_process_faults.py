"""What happens to Redis, workers, beats and tasks: faults 14, 15, 19, 22 and 24, on the processes of an installation.

The children live as long as the module, the market goes on from scenario to scenario, and the oracle looks at the
minutes of each. A protection that lies in a row (the sweeper's entry, a unique key) is taken away in the same scenario,
so that the oracle is seen to miss it.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from celery import Celery
from django.conf import settings
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from pytest_django import DjangoDbBlocker

from accounts.plans import DESK
from config.embedded import OWNER
from signals.models import PushEvent, Round
from tests.database import connect, flush
from tests.factories import make_organization, make_user
from tests.faults.counts import times, within
from tests.faults.defects import losing, without
from tests.faults.installation import READY_S, Listener, Processes
from tests.faults.stage import Stage, hosted
from tests.faults.timing import MINUTE
from tests.faults.traces import LEFT, unchanged
from tests.people import person

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults")]

SWEEP = "decide what is due"
EVERY_SECOND = {SWEEP: "signals.tasks.sweep", "resolve outcomes": "signals.tasks.resolve_outcomes"}
OFF = {
    "poll funding and open interest": "markets.tasks.poll_derivatives",
    "ingest every closed minute": "markets.tasks.ingest_closed",
    "retrain": "models_ml.tasks.retrain",
}
LOOKS_OFTEN = ("--max-interval", "1")
"""For a beat that hears of an edited schedule after a second, not after five."""
PAGES = ("/", "/history", "/api/v1/rounds/")
WORKERS = ("worker", "spare")


@dataclass
class House:
    """The running children, the stage they follow, and an open page."""

    processes: Processes
    stage: Stage
    page: Listener
    broker: Celery
    open_page: Callable[[type[Listener]], Listener]


@pytest.fixture(scope="module")
def house(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """Redis, a worker, a beat that ticks every second, the web server and a feed."""
    processes = Processes(tmp_path_factory.mktemp("house"))
    with django_db_blocker.unblock():
        try:
            with processes.running(), moved_in(processes) as made:
                yield made
        finally:
            flush()


@contextmanager
def moved_in(processes: Processes) -> Iterator[House]:
    processes.start_redis()
    _schedule()
    user = make_user("page@desk.example")
    make_organization(user, "Desk", DESK)
    session = str(person(user).client.session.session_key)
    with hosted(processes) as stage:
        processes.web()
        processes.beat("beat", *LOOKS_OFTEN)
        processes.worker("worker")
        processes.wait("web", lambda: processes.page("/") == 200)
        processes.wait_logged("worker", "ready.")
        processes.wait_logged("beat", "beat leads")
        address = f"127.0.0.1:{processes.web_port}"
        broker = Celery(broker=f"redis://127.0.0.1:{processes.redis_port}/0", set_as_current=False)

        def open_page(made: type[Listener]) -> Listener:
            return made(address, session, settings.SESSION_COOKIE_NAME)

        with open_page(Listener) as page:
            stage.until(lambda: page.connects > 0, what="the page to be connected")
            # While the others started nobody talked, so the feed may be about to connect anew.
            assert stage.recovers(), "the feed is not live"
            stage.minute()
            yield House(processes, stage, page, broker, open_page)


def _schedule() -> None:
    """What an operator may edit: sweep and resolve each second, ask no venue on the network, train nothing."""
    second = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.SECONDS)
    for name, task in (EVERY_SECOND | OFF).items():
        PeriodicTask.objects.create(
            name=name, task=task, interval=second, enabled=name in EVERY_SECOND, expire_seconds=5
        )


def _until_nobody_sweeps(processes: Processes) -> None:
    """Until beat has read the edited entry, and three seconds passed without one of the sweeps it sent each second."""
    limit, quiet_since, seen = time.monotonic() + READY_S, time.monotonic(), received(processes)
    while time.monotonic() - quiet_since < 3.0:
        assert time.monotonic() < limit, "beat goes on sending sweeps"
        time.sleep(0.1)
        if (now := received(processes)) != seen:
            quiet_since, seen = time.monotonic(), now


def received(processes: Processes) -> int:
    """How many sweeps workers got."""
    return sum(processes.logged(name, "signals.tasks.sweep[") // 2 for name in WORKERS if name in processes.names())


@contextmanager
def no_sweeper(processes: Processes) -> Iterator[None]:
    """Beat sends no sweep: whatever the ordinary task lost stays lost."""
    entry = PeriodicTask.objects.get(name=SWEEP)
    entry.enabled = False
    entry.save()
    _until_nobody_sweeps(processes)
    try:
        yield
    finally:
        entry.enabled = True
        entry.save()


def broken(found: list[str], invariant: str) -> bool:
    """Whether this invariant is among what was found violated."""
    return any(line.startswith(invariant) for line in found)


def untold(page: Listener) -> list[str]:
    """G2: what the open page was not told, or twice, of all that was stored since it was opened."""
    stored = list(PushEvent.objects.filter(id__gt=page.first).order_by("id").values_list("id", flat=True))
    missing, double = set(stored) - set(page.ids), len(page.ids) - len(set(page.ids))
    found = [f"I8: the page never heard of {len(missing)} of {len(stored)} events"] if missing else []
    return found + ([f"I8: the page heard {double} events twice"] if double else [])


def heard(house: House, within_s: float, page: Listener | None = None) -> bool:
    """Whether the page hears of a new minute in time."""
    page = page or house.page
    before = len(page.ids)
    house.stage.minute(wait=())
    return house.stage.comes(lambda: len(page.ids) > before, within_s)


@contextmanager
def traced(house: House, number: int) -> Iterator[list[str]]:
    """I7 of a fault that the children suffer; what is lacking is in the list at the end."""
    left, found = LEFT[number], list[str]()
    before = {name: house.processes.logged(name, left.event) for name in house.processes.names()}
    moved = house.processes.measured(left.metric)
    yield found
    names = house.processes.names()
    if left.event and not any(house.processes.logged(name, left.event) > before.get(name, 0) for name in names):
        found.append(f"I7: no event {left.event}")
    if house.processes.measured(left.metric) <= moved:
        found.append(f"I7: {left.metric} did not move")
    found += unchanged(number)


# -- 14: Redis is away


def away(house: House, minutes: int) -> list[str]:
    """Redis is killed, minutes pass, pages are asked for, Redis comes back."""
    house.processes.kill("redis")
    found = []
    for _ in range(minutes):
        house.stage.minute(wait=())
        found += [f"I8: {path} answered {status}" for path in PAGES if (status := house.processes.page(path)) != 200]
    found += [] if house.processes.health().get("redis") is False else ["I7: health does not say that Redis is away"]
    house.processes.start_redis()
    house.processes.wait("redis", lambda: bool(house.processes.client().ping()))
    return found + ([] if heard(house, within(10)) else ["I8: nothing pushed 10 s after Redis was back"])


def test_14_redis_down_costs_no_minute(house: House) -> None:
    house.stage.begin()
    with traced(house, 14) as lost:
        with no_sweeper(house.processes):
            found = away(house, times(1, 3))
            house.stage.patience_s = 2.0
            assert broken(house.stage.violations(), "I1")
        house.stage.patience_s = within(30.0)
        assert found == []
        assert house.stage.violations() == []
        assert house.stage.comes(lambda: untold(house.page) == [], within(15)), untold(house.page)
    assert lost == []


# -- 15: Redis forgets everything


def flushes(house: House, number: int) -> list[str]:
    """FLUSHALL at random instants of a minute."""
    dice, found = random.Random(15), []
    resets = house.processes.measured(LEFT[15].metric)
    for turn in range(number):
        house.stage.tick()
        time.sleep(dice.random() * 0.3)
        house.processes.client().flushall()
        if not turn:  # a stream that is filled again at once is not seen to have been emptied
            house.stage.comes(lambda: house.processes.measured(LEFT[15].metric) > resets, within(5))
        if not heard(house, within(15)):
            found.append("I8: the page is deaf 15 s after a flush")
            break
    return found


def test_15_a_flush_leaves_no_page_deaf(house: House) -> None:
    house.stage.begin()
    with traced(house, 15) as lost:
        assert flushes(house, times(3, 100)) == []
    assert lost == []
    house.stage.patience_s = within(30.0)
    assert house.stage.violations() == []
    assert house.stage.comes(lambda: untold(house.page) == [], within(15)), untold(house.page)


# -- 19: a worker dies in the middle of a decision


@contextmanager
def held_up(table: str) -> Iterator[None]:
    """Whoever wants to read or write `table` waits."""
    with connect(OWNER) as owner, owner.transaction():
        owner.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


def waiting(table: str) -> int:
    """How many wait for `table`."""
    with connect(OWNER) as owner:
        row = owner.execute(
            "SELECT count(*) FROM pg_locks WHERE relation = %s::regclass AND NOT granted", [table]
        ).fetchone()
    return int(row[0]) if row else 0


def dies(house: House, table: str, name: str) -> None:
    """The only worker is killed where it wants `table`; another one, `name`, takes over."""
    stage, asleep = house.stage, house.processes.folder / "asleep"
    asleep.touch()
    victim = next(one for one in WORKERS if one != name)
    with held_up(table):
        stage.minute(wait=())
        stage.until(lambda: waiting(table) > 0, within(30), what="the worker to be in mid-decision")
        house.processes.kill(victim)
    asleep.unlink()
    before = house.processes.logged(name, "ready.") if (house.processes.folder / f"{name}.log").exists() else 0
    house.processes.worker(name)
    house.processes.wait_logged(name, "ready.", more_than=before)


def test_19_a_killed_worker_costs_no_minute(house: House) -> None:
    house.stage.begin()
    house.stage.minute()
    with traced(house, 19) as lost:
        with no_sweeper(house.processes):
            dies(house, "models_ml_modelversion", "spare")
            house.stage.patience_s = 2.0
            assert broken(house.stage.violations(), "I1")
        house.stage.patience_s = within(30.0)
        assert house.stage.violations() == []
    assert lost == []
    for number in range(times(0, 12)):
        table = ("models_ml_modelversion", "signals_pushevent", "markets_candle")[number % 3]
        dies(house, table, WORKERS[number % 2])
        assert house.stage.violations() == []


# -- 22: more beats than one


def too_many(house: House, within_s: float) -> bool:
    """Whether workers get more sweeps than one beat sends, at some time within so long."""
    before, began = received(house.processes), time.monotonic()

    def doubled() -> bool:
        return received(house.processes) - before > time.monotonic() - began + 2

    return house.stage.comes(doubled, within_s)


def test_22_a_second_beat_idles(house: House) -> None:
    house.stage.begin()
    seconds = times(3, 600)
    with traced(house, 22) as lost:
        house.processes.beat("beat2", *LOOKS_OFTEN)
        house.processes.wait_logged("beat2", "beat idles")
        house.stage.patience_s = seconds
        assert not too_many(house, seconds)
        house.stage.patience_s = within(30.0)
    assert lost == []
    house.stage.minute()
    house.processes.kill("beat")
    house.processes.wait_logged("beat2", "beat leads", within_s=within(20))
    before = received(house.processes)
    assert house.stage.comes(lambda: received(house.processes) > before + 1), "the second beat does not tick"
    house.processes.beat("beat3", *LOOKS_OFTEN, "-S", "tests.faults.unguarded:Scheduler")  # the defect: no lock
    house.processes.wait_logged("beat3", "Sending due task")
    assert too_many(house, within(15))
    house.processes.kill("beat3")
    house.stage.patience_s = within(30.0)
    assert house.stage.violations() == []


# -- 24: tasks twice, at once, an hour late


def floods(house: House, number: int) -> list[str]:
    """Each decision is sent one to three times, shuffled, old ones among them, and all reach the insert together."""
    dice, stage = random.Random(24), house.stage
    found = []
    for _ in range(number):
        before = list(Round.objects.order_by("id").values())
        old = [int(at.timestamp()) for at in Round.objects.values_list("close_time", flat=True).distinct()[:40]]
        coming = int(stage.now) // MINUTE * MINUTE + MINUTE
        sent = [at for at in [*dice.sample(old, min(5, len(old))), coming, coming] for _ in range(dice.randint(1, 3))]
        dice.shuffle(sent)
        with connect(OWNER) as owner, owner.transaction():
            owner.execute("LOCK TABLE signals_round IN EXCLUSIVE MODE")  # reads pass, inserts wait for each other
            stage.minute(wait=())
            for at in sent:
                house.broker.send_task("signals.tasks.decide_minute", (at, stage.ids()), queue="score")
                house.broker.send_task("signals.tasks.resolve_outcomes", queue="score")
            stage.until(lambda: waiting("signals_round") > 1, within(20), what="two to insert the same round")
        stage.comes(lambda: stage.decided(coming, stage.ids()), within(20))  # noqa: B023  # asked within the turn
        after = list(Round.objects.filter(pk__in=[one["id"] for one in before]).order_by("id").values())
        found += [] if after == before else ["I1: an old task changed old rounds"]
    return found


def test_24_a_task_may_come_twice_at_once_or_late(house: House) -> None:
    house.stage.begin()
    with traced(house, 24) as lost:
        assert floods(house, times(2, 50)) == []
    assert lost == []
    house.stage.patience_s = within(30.0)
    assert house.stage.violations() == []


def test_24_is_seen_without_the_key(house: House) -> None:
    key = "CREATE UNIQUE INDEX round_once ON signals_round (instrument_id, horizon_s, close_time)"
    house.stage.begin()
    with without("signals_round", "round_once", key):
        house.stage.patience_s = 2.0
        for _ in range(5):  # two inserts that wait need not be of one round
            floods(house, 1)
            if found := broken(house.stage.violations(), "I1"):
                break
        assert found


def test_15_is_seen_where_the_log_is_not_kept(house: House) -> None:
    house.stage.begin()
    with losing("signals_pushevent"):
        house.stage.minute()
        house.stage.patience_s = 10.0
        assert broken(flushes(house, 2), "I8")
