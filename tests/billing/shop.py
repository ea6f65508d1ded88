"""A shop to buy in: the sandbox over real HTTP, cards, and events delivered in whatever order a test wants."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import stripe
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from accounts.models import Organization
from accounts.scoping import scope_to
from billing.models import CheckoutAttempt, StripeEvent, Subscription
from billing.sandbox.checkout import Typed, open_session, pay
from billing.sandbox.server import Sandbox
from billing.sync import NEXT_LOOK
from billing.webhooks import work
from lib.clock import epoch, wall_now
from tests.people import Person

SECRETS = ["whsec_" + "n" * 32, "whsec_" + "b" * 32]
GOOD, FAILS_LATER = "4242424242424242", "4000000000000341"
DAY = 86_400


@dataclass
class Shop:
    """The sandbox, and what people and Stripe do with it."""

    sandbox: Sandbox

    def order(self, person: Person, price: str = "candor_pro_month", currency: str = "usd") -> str:
        """Press the button of a plan; the address of the order's page."""
        answer = person.client.post("/billing/checkout/", {"price": price, "currency": currency})
        assert answer.status_code == 302, answer.content.decode()[-2000:]
        return str(answer.headers["Location"])

    def to_payment(self, person: Person, order: str) -> str:
        """Go on to the payment page; its session's id."""
        answer = person.client.post(order)
        assert answer.status_code == 302, answer.content.decode()[-2000:]
        assert answer.headers["Location"].startswith(self.sandbox.url)
        with scope_to(person.organization.pk):
            return CheckoutAttempt.objects.get(state="open").session_id

    def pay(self, session_id: str, number: str = GOOD) -> None:
        """Type a card on the payment page."""
        world = self.sandbox.world
        typed = Typed(name="A Buyer", number=number, expiry="12/40", cvc="123", country="US")
        assert self.sandbox.call(lambda: pay(world, open_session(world, session_id), typed))

    def buy(self, person: Person, price: str = "candor_pro_month", number: str = GOOD, currency: str = "usd") -> None:
        """From the plans page to a paid session; no event is delivered yet."""
        self.pay(self.to_payment(person, self.order(person, price, currency)), number)

    def mend_card(self, number: str = GOOD) -> None:
        """From now on every card on file behaves like this one."""
        methods = self.sandbox.world.table("payment_method")
        self.sandbox.call(lambda: [method.update(_number=number) for method in methods.values()])

    def deliver(self) -> list[StripeEvent]:
        """Deliver what is waiting, in order, and let the worker do it."""
        events = self.sandbox.held()
        for event in events:
            assert self.post(event).status_code == 200
        return self.work()

    def post(self, event: dict[str, Any], *, secret: str = SECRETS[0], age_s: int = 0, body: str = "") -> HttpResponse:
        """One signed delivery over the site's own door."""
        text = body or json.dumps(event)
        return post(text, sign(text, secret, age_s))

    def work(self) -> list[StripeEvent]:
        """Do what the worker would do with every event that is not done."""
        undone = StripeEvent.objects.filter(state__in=["received", "failed"]).order_by("pk")
        return [done for pk in undone.values_list("pk", flat=True) if (done := work(pk)) is not None]


@pytest.fixture
def shop(settings: Settings, db: None) -> Iterator[Shop]:
    """Billing switched on, against a fresh sandbox that keeps its events until they are asked for."""
    with Sandbox() as sandbox:
        sandbox.hold()
        settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE = sandbox.key, sandbox.url
        settings.STRIPE_WEBHOOK_SECRETS = SECRETS
        cache.clear()
        yield Shop(sandbox)
    cache.clear()


def sign(text: str, secret: str, age_s: int = 0) -> str:
    """Stripe's signature, made by its own library."""
    return str(stripe.WebhookSignature.generate_signature_header(text, secret, epoch(wall_now()) - age_s))


def post(text: str, signature: str) -> HttpResponse:
    """A raw delivery."""
    headers = {"HTTP_STRIPE_SIGNATURE": signature} if signature else {}
    answer = Client().post("/billing/webhook/", text, content_type="application/json", **headers)  # type: ignore[arg-type]  # a header by name
    assert isinstance(answer, HttpResponse)
    return answer


def row_of(person: Person) -> Subscription | None:
    """The stored subscription of a person's organization."""
    with scope_to(person.organization.pk):
        return Subscription.objects.filter(organization=person.organization).first()


def plan_of(person: Person) -> str:
    """The organization's plan as stored."""
    with scope_to(person.organization.pk):
        return Organization.objects.get(pk=person.organization.pk).plan


def age(person: Person, **changes: object) -> None:
    """Move the stored copy's times, as if days had passed since it was read."""
    with scope_to(person.organization.pk):
        Subscription.objects.update(**changes)
    cache.delete(NEXT_LOOK)
