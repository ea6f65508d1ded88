"""Everything the sandbox knows: rows by kind, the clocks, and what happened. No HTTP in here.

A row is a dictionary in the shape of Stripe's object of that kind; keys that start with an underscore are the
sandbox's own and never leave it. One thread owns a world.
"""

import copy
import json
import os
import secrets
import string
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from billing.sandbox.refusals import missing

Row = dict[str, Any]
API_VERSION = "2026-10-28.endive"
LETTERS = string.ascii_letters + string.digits
PREFIXES = {
    "cus": "customer",
    "prod": "product",
    "price": "price",
    "sub": "subscription",
    "in": "invoice",
    "ii": "invoiceitem",
    "pm": "payment_method",
    "promo": "promotion_code",
    "di": "discount",
    "cs": "checkout.session",
    "clock": "test_helpers.test_clock",
    "evt": "event",
    "bpc": "billing_portal.configuration",
    "bps": "billing_portal.session",
    "we": "webhook_endpoint",
    "txi": "tax_id",
    "txcd": "tax_code",
    "cbtxn": "customer_balance_transaction",
}
PREFIX_OF = {kind: prefix for prefix, kind in PREFIXES.items()}
MEMORABLE = 20_000  # events kept; older ones are forgotten, as Stripe forgets them after 30 days


@dataclass
class Rules:
    """What an account may choose in Stripe's settings."""

    dunning_days: tuple[int, ...] = (3, 5, 7)  # days after one failed attempt until the next
    after_dunning: str = "canceled"  # or "unpaid", "past_due"
    upcoming_days: int = 7
    trial_notice_days: int = 3
    incomplete_hours: int = 23
    session_hours: int = 24


@dataclass
class World:
    """The rows and the clocks."""

    tables: dict[str, dict[str, Row]] = field(default_factory=dict)
    offset: int = 0  # seconds the global clock runs ahead of the wall
    sequence: int = 0
    rules: Rules = field(default_factory=Rules)
    base_url: str = "http://127.0.0.1"
    wall: Callable[[], float] = time.time
    told: Callable[[Row], None] | None = None  # called with each new event
    request: Row = field(default_factory=dict)  # id and idempotency key of the request being answered
    pinned: int | None = None  # the global clock's time while something that is due happens
    changed: bool = False

    def table(self, kind: str) -> dict[str, Row]:
        """Rows of one kind by id, oldest first."""
        return self.tables.setdefault(kind, {})

    def get(self, kind: str, row_id: str | None, param: str = "id") -> Row:
        """One row.

        Raises:
            Refused: 404 `resource_missing`.
        """
        row = self.table(kind).get(row_id or "")
        if row is None:
            raise missing(kind.split(".")[-1], row_id or "", param)
        return row

    def add(self, kind: str, row: Row, row_id: str | None = None) -> Row:
        """Keep a new row; id, object, livemode and created come first."""
        head = {"id": row_id or self.new_id(kind), "object": kind, "created": self.now(), "livemode": False}
        full = {**head, **row}
        self.table(kind)[full["id"]] = full
        self.changed = True
        return full

    def new_id(self, kind: str) -> str:
        """A fresh identifier with Stripe's prefix of that kind."""
        prefix = PREFIX_OF.get(kind, kind)
        if kind == "checkout.session":
            prefix = "cs_test"
        return f"{prefix}_{''.join(secrets.choice(LETTERS) for _ in range(24))}"

    def now(self, clock: str | None = None) -> int:
        """Epoch seconds of a test clock, or of the global one."""
        if clock:
            return int(self.get("test_helpers.test_clock", clock)["frozen_time"])
        return self.pinned if self.pinned is not None else int(self.wall()) + self.offset

    def time_of(self, row: Row) -> int:
        """Now, for the customer a row belongs to (or for the customer itself)."""
        return self.now(self.clock_of(row))

    def clock_of(self, row: Row) -> str | None:
        """The test clock a row lives by."""
        if row["object"] == "test_helpers.test_clock":
            return str(row["id"])
        clock = row.get("test_clock")
        if clock is None and isinstance(customer := row.get("customer"), str):
            clock = self.table("customer").get(customer, {}).get("test_clock")
        return str(clock) if clock else None

    def emit(self, kind: str, row: Row, previous: Row | None = None) -> None:
        """Write an event with the row as it is now, and tell who listens."""
        self.changed = True
        data: Row = {"object": public(row)}
        if previous is not None:
            data["previous_attributes"] = public(previous)
        if self.told is None:
            return
        event = self.add(
            "event",
            {
                "account": None,
                "api_version": API_VERSION,
                "context": None,
                "created": self.time_of(row),
                "data": data,
                "pending_webhooks": 0,
                "request": {"id": None, "idempotency_key": None, **self.request},
                "type": kind,
            },
        )
        events = self.table("event")
        while len(events) > MEMORABLE:
            del events[next(iter(events))]
        self.told(event)

    def number(self) -> int:
        """The next of a sequence that never repeats."""
        self.sequence += 1
        return self.sequence

    def fork(self) -> "World":
        """A copy to try something in: what happens there is told to nobody and changes nothing here."""
        shared = {"event", "product", "price", "checkout.session", "webhook_endpoint", "_answer"}
        tables = {kind: rows if kind in shared else copy.deepcopy(rows) for kind, rows in self.tables.items()}
        return World(tables, self.offset, self.sequence, self.rules, self.base_url, self.wall, pinned=self.pinned)

    def dump(self) -> str:
        """All of it as JSON."""
        kept = {"base_url": self.base_url, "offset": self.offset, "sequence": self.sequence, "tables": self.tables}
        return json.dumps(kept)

    def restore(self, text: str) -> None:
        """Take back what `dump` wrote; addresses of pages follow the port of today."""
        before = json.loads(text)["base_url"]
        found = json.loads(text.replace(f'"{before}/', f'"{self.base_url}/'))
        self.offset, self.sequence, self.tables = found["offset"], found["sequence"], found["tables"]


def public(value: Any) -> Any:  # noqa: ANN401  # any JSON value
    """A deep copy without the sandbox's own keys."""
    if isinstance(value, dict):
        return {key: public(entry) for key, entry in value.items() if not key.startswith("_")}
    if isinstance(value, list):
        return [public(entry) for entry in value]
    return value


def listed(rows: list[Row], url: str) -> Row:
    """Stripe's list object around rows that are all there are."""
    return {"object": "list", "data": rows, "has_more": False, "total_count": len(rows), "url": url}


def save(world: World, path: Path) -> None:
    """Write the world to a file that only its owner reads, by replacing the file as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(world.dump())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
