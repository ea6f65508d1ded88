"""Deliberate defects: each takes away one protection, so that the oracle can be seen to miss it."""

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from config.embedded import OWNER
from markets.backoff import Backoff
from markets.live import Feed
from markets.minutes import Series
from markets.repairing import Repairer
from markets.skew import SkewMeter
from markets.values import Ohlcv
from markets.venues.ccxt_venue.exchange import FrameCount
from tests.database import connect


class NeverRepairing(Repairer):
    """Asks REST for nothing."""

    def need(self, series: Series, open_times: Iterable[int], *, live: bool) -> None:
        """Forget it."""


class WithoutBackfill(Feed):
    """A feed that goes on with what the stream brings after a cut."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # as the feed has them
        super().__init__(*args, **kwargs)
        self.repairer = NeverRepairing(self.venue, self._deliver)


class ForwardOnly(WithoutBackfill):
    """A feed that drops what comes after a later candle."""

    def _take_candle(self, series: Series, candle: Ohlcv) -> None:
        if candle.open_time >= series.last_open:
            super()._take_candle(series, candle)


class Hasty(Repairer):
    """Asks again at once, whatever the venue said."""

    def _failed(self, symbol: str, error: Exception) -> float | None:
        return 0.0


class Impatient(Feed):
    """A feed without a circuit breaker and without back-off."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # as the feed has them
        super().__init__(*args, **kwargs)
        self.repairer = Hasty(self.venue, self._deliver, backoff=Backoff(0.02, 0.02))
        self.venue._rest._breaker.check = lambda: None  # type: ignore[attr-defined]  # the adapter's protection as well


class HalfTold(Feed):
    """A feed that takes a forming candle for a closed one."""

    def _take_candle(self, series: Series, candle: Ohlcv) -> None:
        self._closed(series, candle)


class Startled(FrameCount):
    """Takes the first frame that it cannot read for the end of the world."""

    def reject(self, frame: object, error: Exception) -> bool:
        """Ask for another connection."""
        super().reject(frame, error)
        return True


class Fragile(WithoutBackfill):
    """A feed that one unreadable frame disconnects, and that asks for nothing afterwards."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # as the feed has them
        super().__init__(*args, **kwargs)
        self.venue.frames = Startled()  # type: ignore[attr-defined]  # the adapter's


class Believing(SkewMeter):
    """Trusts every clock."""

    @property
    def suspect(self) -> bool:
        """Never."""
        return False


class Trusting(Feed):
    """A feed that measures clocks and draws no conclusion."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # as the feed has them
        super().__init__(*args, **kwargs)
        self.skew = Believing()
        self.clocks._meter = self.states._skew = self.skew


Pages = AsyncGenerator[list[Ohlcv], None]


@contextmanager
def without(table: str, name: str, remake: str) -> Iterator[None]:
    """Drop a unique key of `table`; at the end the table is emptied and `remake` makes the key again."""
    with connect(OWNER) as owner:
        kind = "INDEX" if remake.startswith("CREATE") else f"TABLE {table} DROP CONSTRAINT"
        owner.execute(f"DROP INDEX {name}" if kind == "INDEX" else f"ALTER {kind} {name}")
        try:
            yield
        finally:
            owner.execute(f"TRUNCATE {table}")
            owner.execute(remake)


_LOSE = """
CREATE OR REPLACE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN EXECUTE format('DELETE FROM %I WHERE id = $1', TG_TABLE_NAME) USING NEW.id; RETURN NULL; END $$
"""


@contextmanager
def losing(table: str) -> Iterator[None]:
    """Rows inserted into `table` vanish without a word."""
    with connect(OWNER) as owner:
        owner.execute(_LOSE)
        owner.execute(f"CREATE TRIGGER lose AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION lose()")
        try:
            yield
        finally:
            owner.execute("DROP FUNCTION lose CASCADE")  # and the trigger with it
