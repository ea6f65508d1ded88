"""How many calls somebody may make: token buckets that are taken from together or not at all.

A bucket holds at most `size` tokens and refills evenly over `period_s`. With Redis the buckets are one hash each and
one Lua script takes from all of them, so that any number of processes count as one; without it this process counts.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol, cast

import redis

KEPT: Final = 50_000
"""Callers that a process without Redis remembers; the one not seen for longest is forgotten first."""

_LUA: Final = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local tokens, open = {}, true
for i = 1, #KEYS do
  local size, period = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local kept = redis.call('HMGET', KEYS[i], 't', 'at')
  local had, at = tonumber(kept[1]) or size, tonumber(kept[2]) or now
  tokens[i] = math.min(size, had + math.max(0, now - at) * size / period)
  if tokens[i] < 1 then open = false end
end
local answer = {open and 1 or 0}
for i = 1, #KEYS do
  if open then
    tokens[i] = tokens[i] - 1
    redis.call('HSET', KEYS[i], 't', tostring(tokens[i]), 'at', string.format('%.6f', now))
    redis.call('EXPIRE', KEYS[i], math.ceil(tonumber(ARGV[2 * i])) + 1)
  end
  answer[i + 1] = tostring(tokens[i])
end
return answer
"""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One limit: `size` calls within `period_s` seconds."""

    name: str
    size: int
    period_s: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one call, told of the bucket that is nearest to empty.

    `reset_s` is when that bucket is full again, `retry_after_s` when a refused call may come back (0 where it passed).
    """

    passed: bool
    limit: int
    remaining: int
    reset_s: int
    retry_after_s: int

    @property
    def headers(self) -> dict[str, str]:
        """The answer's headers (draft-ietf-httpapi-ratelimit-headers-07's names; RFC 9110 for Retry-After)."""
        told = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_s),
        }
        return told if self.passed else {**told, "Retry-After": str(self.retry_after_s)}


class Store(Protocol):
    """Where buckets are kept."""

    def take(self, who: str, buckets: Sequence[Bucket]) -> tuple[bool, list[float]]:
        """Take a token from every bucket, or from none; whether it went, and what is left in each."""
        ...


class Local:
    """The buckets of one process.

    Args:
        now: seconds of a clock that never goes back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._lock = now, threading.Lock()
        self._kept: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def take(self, who: str, buckets: Sequence[Bucket]) -> tuple[bool, list[float]]:
        """As the protocol says; one thread at a time."""
        with self._lock:
            now = self._now()
            tokens = [self._tokens(who, bucket, now) for bucket in buckets]
            passed = all(left >= 1 for left in tokens)
            if passed:
                tokens = [left - 1 for left in tokens]
                for bucket, left in zip(buckets, tokens, strict=True):
                    self._keep((who, bucket.name), left, now)
        return passed, tokens

    def _tokens(self, who: str, bucket: Bucket, now: float) -> float:
        had, at = self._kept.get((who, bucket.name), (float(bucket.size), now))
        return min(float(bucket.size), had + (now - at) * bucket.size / bucket.period_s)

    def _keep(self, key: tuple[str, str], left: float, now: float) -> None:
        self._kept[key] = (left, now)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)


class Shared:
    """The buckets in Redis, counted by its clock."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
        self._script = self._redis.register_script(_LUA)

    def take(self, who: str, buckets: Sequence[Bucket]) -> tuple[bool, list[float]]:
        """As the protocol says; redis.RedisError where Redis does not answer."""
        keys = [f"candor:rate:{bucket.name}:{who}" for bucket in buckets]
        sizes = [value for bucket in buckets for value in (bucket.size, bucket.period_s)]
        passed, *left = cast("list[Any]", self._script(keys=keys, args=sizes))
        return bool(passed), [float(tokens) for tokens in left]


@lru_cache
def store(url: str) -> Store:
    """The process's store: in Redis where there is one."""
    return Shared(url) if url else Local()


def take(url: str, who: str, buckets: Sequence[Bucket]) -> Decision:
    """Count one call of `who` against all `buckets`.

    Where Redis does not answer, this process counts alone: a limit that is too wide for a while beats an outage.

    Args:
        url: Redis, or "" for this process's own store.
        who: the caller; callers of one name share their buckets.
        buckets: at least one.
    """
    try:
        passed, left = store(url).take(who, buckets)
    except redis.RedisError:
        passed, left = store("").take(who, buckets)
    return _decision(passed, buckets, left)


def _decision(passed: bool, buckets: Sequence[Bucket], left: Sequence[float]) -> Decision:
    tightest, tokens = min(zip(buckets, left, strict=True), key=lambda pair: (pair[1] >= 1, pair[1] / pair[0].size))
    each_s = tightest.period_s / tightest.size
    waits = [(1 - had) * bucket.period_s / bucket.size for bucket, had in zip(buckets, left, strict=True)]
    return Decision(
        passed,
        tightest.size,
        max(0, math.floor(tokens)),
        math.ceil((tightest.size - tokens) * each_s),
        0 if passed else max(1, math.ceil(max(waits))),
    )
