"""The loopback venue in a process of its own, on a clock that is moved from outside.

Beside the frames it is told to send it tells each market's price, trade and book once a second, one market after the
other, as a venue does while a minute closes.
"""

import asyncio
import json
import sys
import time

from tests.venue_server import VenueServer
from tests.venue_wire import generated

SPREAD_S = 0.25
"""A venue's frames come one by one: ccxt tells of one book only when many arrive at once."""


class Played(VenueServer):
    """The venue at rate 1, `offset` seconds ahead of the wall clock."""

    offset = 0.0

    def now(self) -> float:
        """The bench's clock."""
        return time.time() + self.offset

    def tell(self) -> None:
        """Forming candle, trade and book of every market, now."""
        self._call(self._all(SPREAD_S))

    async def _tell(self) -> None:
        while True:
            await self._all(1.0)

    async def _all(self, within_s: float) -> None:
        """Each market once, evenly over so many seconds."""
        for market_id, rows in self.candles.items():
            await asyncio.sleep(within_s / len(self.candles))
            row = rows[int(self.now()) // 60 - int(rows[0, 0]) // 60].tolist()
            await self._kline(market_id, [*row[:2], row[1], row[1], row[1], 0.1], closed=False)
            await self._trade(market_id, row[1], 0.01, buyer_is_maker=False)
            await self._depth(market_id)


def main(markets: list[str], minutes: int, end: int) -> None:
    """Serve, and obey lines: `at <offset>`, `tell`, `close <open time>`, `subscribed`."""
    with Played(generated(markets, minutes=minutes, end=end), play=True) as server:
        print(json.dumps({"rest": server.rest_url, "sockets": server.ws_url}), flush=True)
        for line in sys.stdin:
            word, *values = line.split()
            answer: object = None
            match word:
                case "at":
                    server.offset = float(values[0])
                case "tell":
                    server.tell()
                case "close":
                    written = server.close_minute(int(values[0])).values()
                    answer = {"first": min(written), "last": max(written)}
                case "subscribed":
                    server.subscribed(*(f"{market.lower()}@kline_1m" for market in markets), within_s=60)
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1].split(","), int(sys.argv[2]), int(sys.argv[3]))
