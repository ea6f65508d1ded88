"""How many sockets a process takes on in a second."""

import asyncio
from collections.abc import Iterator

import pytest
from pytest_django import Settings
from websockets.exceptions import InvalidStatus

from markets.models import Run
from signals import consumers
from signals.admission import Admission
from tests.signals.live import reading, serving
from tests.signals.rows import make_run


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        """Seconds."""
        return self.at


def test_a_seconds_worth_is_taken_at_once_and_then_the_rate() -> None:
    now = Clock()
    door = Admission(10, now)
    assert [door.wait_s() for _ in range(10)] == [0] * 10
    assert door.wait_s() > 0
    now.at += 0.2
    assert [door.wait_s() == 0 for _ in range(3)] == [True, True, False]


def test_who_comes_when_told_to_finds_room() -> None:
    now = Clock()
    door = Admission(10, now)
    waits = [door.wait_s() for _ in range(60)]
    assert waits.count(0) == 10
    assert max(waits) == 6
    for second in range(1, 7):
        now.at += 1.0
        assert all(door.wait_s() == 0 for _ in range(waits.count(second)))


def test_a_quiet_time_is_not_saved_up() -> None:
    now = Clock()
    door = Admission(5, now)
    now.at += 3600
    assert [door.wait_s() == 0 for _ in range(6)] == [True] * 5 + [False]


@pytest.fixture
def narrow(settings: Settings) -> Iterator[None]:
    settings.SOCKET_ACCEPTS_A_SECOND = 1
    consumers._door.cache_clear()
    yield
    consumers._door.cache_clear()


@pytest.fixture
def run(transactional_db: None) -> Run:
    return make_run()


@pytest.mark.django_db(transaction=True)
async def test_a_hand_shake_too_many_is_told_when_to_come_again(run: Run, narrow: None) -> None:
    async def knock() -> tuple[int, int]:
        """Status and, where the door is closed, the seconds to wait."""
        try:
            async with reading(address) as reader:
                await reader.hello(None)
        except InvalidStatus as refused:
            return refused.response.status_code, int(refused.response.headers["Retry-After"])
        return 101, 0

    with serving() as address:
        answers = await asyncio.gather(*(knock() for _ in range(20)))
    assert {status for status, _ in answers} == {101, 503}
    assert min(wait for status, wait in answers if status == 503) >= 2
