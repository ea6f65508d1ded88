"""Fault 33: events in any order, several times over, forged ones among them, end in the state that Stripe has.

Each history is lived in the sandbox by one organization, through our pages and through Stripe's own; each is told in
its own random order while it happens and afterwards. What is right is computed from the sandbox's final rows, not from
anything we stored. `CANDOR_FAULTS=full` lives 500 histories.
"""

import copy
import json
import os
import random
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from accounts.accepting import accept_terms
from accounts.plans import FREE, PRO
from billing.models import StripeEvent
from billing.state import LIVE_STATUSES, Facts, entitlement
from lib.clock import from_epoch, wall_now
from tests.billing.shop import DAY, FAILS_LATER, GOOD, SECRETS, Shop, plan_of, row_of, sign
from tests.billing.shop import post as knock
from tests.factories import make_organization, make_user
from tests.people import Person, person

ORDERS = 500 if os.environ.get("CANDOR_FAULTS") == "full" else 30
PRICES = ("candor_pro_month", "candor_pro_year", "candor_desk_month", "candor_desk_year")
Row = dict[str, Any]


class Life:
    """One organization's history, and the events that nobody was told of yet."""

    def __init__(self, shop: Shop, who: Person, dice: random.Random) -> None:
        self.shop, self.who, self.dice = shop, who, dice
        self.untold: list[Row] = []
        self.told: list[Row] = []
        self.forged = 0
        self.answers_ms: list[float] = []

    def live(self, *, trial: bool) -> None:
        """Buy, then let things happen; some events arrive in between."""
        number = self.dice.choice([GOOD, GOOD, FAILS_LATER])
        if not trial:
            number = GOOD  # the other cannot pay a first invoice
        self.shop.buy(self.who, self.dice.choice(PRICES), number)
        acts: list[Callable[[], object]] = [self.wait, self.wait, self.cancel, self.resume, self.change, self.end_now]
        for _ in range(self.dice.randint(0, 6)):
            self.dice.choice(acts)()
            self.untold += self.shop.sandbox.held()
            if self.dice.random() < 0.5:
                self.tell(self.dice.sample(self.untold, self.dice.randint(0, len(self.untold))))
        self.untold += self.shop.sandbox.held()

    def wait(self) -> None:
        self.shop.sandbox.advance(self.dice.choice([1, 7, 15, 32]) * DAY)

    def cancel(self) -> None:
        self.who.client.post("/billing/cancel/")

    def resume(self) -> None:
        self.who.client.post("/billing/resume/")

    def change(self) -> None:
        address = f"/billing/change/?price={self.dice.choice(PRICES)}"
        context = self.who.client.get(address).context or {}
        if "quote" in context:
            self.who.client.post(address, {"token": context["quote"].token})

    def end_now(self) -> None:
        from billing.gateway import client

        if (row := self.subscription()) is not None and row["status"] not in {"canceled", "incomplete_expired"}:
            client().v1.subscriptions.cancel(row["id"])

    def tell(self, events: list[Row]) -> None:
        """Deliver events in a random order, each one to five times, with forged ones in between."""
        again = [event for event in events for _ in range(self.dice.randint(1, 5))]
        self.dice.shuffle(again)
        for event in again:
            if self.dice.random() < 0.3:
                self.forge(event)
            began = time.thread_time()
            assert self.shop.post(event, secret=self.dice.choice(SECRETS)).status_code == 200
            self.answers_ms.append((time.thread_time() - began) * 1000)
            if self.dice.random() < 0.3:
                self.shop.work()
        self.told += events
        self.untold = [event for event in self.untold if event not in events]

    def forge(self, event: Row) -> None:
        """Events that Stripe did not send, or not now."""
        fake = copy.deepcopy(event)
        fake["id"] = f"evt_forged_{self.forged}"
        text, good = json.dumps(fake), SECRETS[0]
        signature = self.dice.choice(
            ["", sign(text, "whsec_wrong"), sign(text, good, 400), sign(text + " ", good), "t=1,v1=00"]
        )
        assert knock(text, signature).status_code == 400
        self.forged += 1

    def subscription(self) -> Row | None:
        """The one that counts, out of the sandbox's rows."""
        rows: list[Row] = self.shop.sandbox.call(lambda: list(self.shop.sandbox.world.table("subscription").values()))
        living = [row for row in rows if row["status"] in LIVE_STATUSES]
        return next(iter(living or rows), None)

    def due(self) -> str:
        """What is right."""
        row = self.subscription()
        if row is None:
            return FREE.key
        item = row["items"]["data"][0]
        invoices = self.shop.sandbox.call(lambda: list(self.shop.sandbox.world.table("invoice").values()))
        unpaid = [each["created"] for each in invoices if each["status"] == "open"]
        facts = Facts(
            row["status"],
            item["price"]["lookup_key"].split("_")[1],
            from_epoch(item["current_period_end"]),
            row["cancel_at_period_end"],
            None,
            from_epoch(min(unpaid)) if unpaid else None,
        )
        return entitlement(facts, wall_now(), timedelta(days=7)).plan


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("number", range(ORDERS))
def test_any_order_of_events_ends_where_stripe_is(shop: Shop, settings: Settings, number: int) -> None:
    dice = random.Random(number)
    settings.BILLING_TRIAL_DAYS = dice.choice([0, 14])
    user = make_user(f"life{number}@orders.example")
    who = person(user, make_organization(user, "Life", FREE))
    accept_terms(user, "192.0.2.1")
    life = Life(shop, who, dice)
    life.live(trial=bool(settings.BILLING_TRIAL_DAYS))
    life.tell(life.untold)
    shop.work()
    assert plan_of(who) == life.due()
    row, there = row_of(who), life.subscription()
    assert row is not None
    assert there is not None
    assert (row.stripe_id, row.status, row.cancel_at_period_end) == (
        there["id"],
        there["status"],
        there["cancel_at_period_end"],
    )
    assert not StripeEvent.objects.filter(event_id__startswith="evt_forged").exists()
    assert StripeEvent.objects.count() == len({event["id"] for event in life.told})
    assert not StripeEvent.objects.filter(state__in=["received", "failed"]).exists()


def test_three_days_late_is_not_too_late(shop: Shop, freebie: Person) -> None:
    shop.buy(freebie)
    (first, *_rest) = shop.sandbox.held()
    shop.sandbox.advance(3 * DAY)
    shop.post(first)
    shop.work()
    assert plan_of(freebie) == PRO.key


def test_answers_take_little_work(shop: Shop, freebie: Person) -> None:
    """In time of the processor, which a busy machine does not stretch."""
    shop.buy(freebie)
    life = Life(shop, freebie, random.Random(1))
    life.tell(shop.sandbox.held() * 8)
    slow = sorted(life.answers_ms)[int(len(life.answers_ms) * 0.99)]
    assert slow <= 300, f"p99 {slow:.0f} ms over {len(life.answers_ms)} answers"
