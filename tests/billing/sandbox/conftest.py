"""A sandbox of its own for each test, and what people do with it."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from stripe import Invoice, StripeClient, Subscription
from stripe.checkout import Session

from billing.sandbox.server import Sandbox

DAY = 86_400
PRO, PRO_YEAR = "price_candor_pro_month", "price_candor_pro_year"
DESK, DESK_YEAR = "price_candor_desk_month", "price_candor_desk_year"
CARD = {"number": "4242 4242 4242 4242", "expiry": "12/40", "cvc": "123", "name": "Ada Lovelace"}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(waits=(0.02, 0.02, 0.02)) as found:
        yield found


def client_of(sandbox: Sandbox, key: str | None = None) -> StripeClient:
    return StripeClient(key or sandbox.key, base_addresses={"api": sandbox.url}, max_network_retries=0)


@pytest.fixture
def stripe(sandbox: Sandbox) -> StripeClient:
    return client_of(sandbox)


@dataclass
class Shop:
    """Short ways to common situations."""

    sandbox: Sandbox
    stripe: StripeClient

    def clock(self, at: int) -> str:
        return self.stripe.v1.test_helpers.test_clocks.create({"frozen_time": at}).id

    def advance(self, clock: str, to: int) -> None:
        self.stripe.v1.test_helpers.test_clocks.advance(clock, {"frozen_time": to})

    def customer(self, card: str | None = "pm_card_visa", **more: Any) -> str:
        params: dict[str, Any] = {"email": "ada@example.com", "name": "Ada", **more}
        if card:
            params |= {"payment_method": card, "invoice_settings": {"default_payment_method": card}}
        return self.stripe.v1.customers.create(params).id  # type: ignore[arg-type]  # built step by step

    def subscribe(self, customer: str, price: str = PRO, **more: Any) -> Subscription:
        params: dict[str, Any] = {"customer": customer, "items": [{"price": price}], **more}
        return self.stripe.v1.subscriptions.create(params)  # type: ignore[arg-type]  # built step by step

    def subscription(self, found: Subscription) -> Subscription:
        return self.stripe.v1.subscriptions.retrieve(found.id)

    def invoices(self, customer: str) -> list[Invoice]:
        """Oldest first."""
        return list(self.stripe.v1.invoices.list({"customer": customer, "limit": 100}).data)[::-1]

    def types(self) -> list[str]:
        """Event types, oldest first."""
        return [str(event.type) for event in self.stripe.v1.events.list({"limit": 100}).data][::-1]

    def checkout(self, **more: Any) -> Session:
        params = {
            "mode": "subscription",
            "line_items": [{"price": PRO, "quantity": 1}],
            "success_url": "http://127.0.0.1:8000/done?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://127.0.0.1:8000/plans",
            **more,
        }
        return self.stripe.v1.checkout.sessions.create(params)  # type: ignore[arg-type]  # built step by step

    def post(self, url: str, **fields: str) -> httpx.Response:
        """Send a form as the page would."""
        return httpx.post(url, data=fields, headers={"Origin": self.sandbox.url})

    def pay(self, url: str, **fields: str) -> httpx.Response:
        return self.post(url, action="pay", **{**CARD, **fields})


@pytest.fixture
def shop(sandbox: Sandbox, stripe: StripeClient) -> Shop:
    return Shop(sandbox, stripe)


@dataclass
class Listener:
    """A webhook endpoint that keeps what it gets and answers what it is told to."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            found.signatures.append(self.headers["Stripe-Signature"])
            self.send_response(found.answers.pop(0) if found.answers else 200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join(2)
