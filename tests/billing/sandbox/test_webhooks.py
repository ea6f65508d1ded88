"""Webhooks and scripted faults: what callers have to survive."""

import json
import time
from typing import Any

import pytest
import stripe as library
from stripe import StripeClient

from billing.sandbox.deliveries import body_of, sign
from billing.sandbox.server import Sandbox
from tests.billing.sandbox.conftest import PRO, Listener, Shop, client_of


def test_events_are_signed_as_stripe_signs(sandbox: Sandbox, shop: Shop, listener: Listener) -> None:
    secret = sandbox.listen_to(listener.url)
    assert sandbox.listen_to(listener.url) == secret
    shop.customer(None)
    sandbox.settle()
    (body,), (signature,) = listener.bodies, listener.signatures
    event = library.Webhook.construct_event(body, signature, secret)
    assert (event.type, event.api_version, event.livemode) == ("customer.created", "2026-10-28.endive", False)
    assert shop.stripe.v1.events.retrieve(event.id).pending_webhooks == 0
    for wrong in (secret[:-1] + "0", "whsec_other"):
        with pytest.raises(library.SignatureVerificationError):
            library.Webhook.construct_event(body, signature, wrong)
    with pytest.raises(library.SignatureVerificationError):
        library.Webhook.construct_event(body.replace(b"ada@", b"eve@"), signature, secret)
    old = sign(body, [secret], int(time.time()) - 301)
    with pytest.raises(library.SignatureVerificationError):
        library.Webhook.construct_event(body, old, secret)


def test_both_secrets_sign_during_a_rotation(sandbox: Sandbox, shop: Shop, listener: Listener) -> None:
    old = sandbox.listen_to(listener.url, "whsec_chosen_by_a_test")
    assert old == "whsec_chosen_by_a_test"
    new = sandbox.roll_secret(listener.url)
    shop.customer(None)
    sandbox.settle()
    for secret in (old, new):
        assert library.Webhook.construct_event(listener.bodies[0], listener.signatures[0], secret).id


def test_what_is_refused_comes_again(sandbox: Sandbox, shop: Shop, listener: Listener) -> None:
    sandbox.listen_to(listener.url)
    listener.answers = [500, 302, 429]
    shop.customer(None)
    sandbox.settle()
    assert len(listener.bodies) == 4
    assert len({json.loads(body)["id"] for body in listener.bodies}) == 1
    listener.answers = [500] * 4
    shop.customer(None)
    sandbox.settle()
    assert len(listener.bodies) == 8  # given up after the last wait


def test_endpoints_choose_their_events(sandbox: Sandbox, shop: Shop, listener: Listener, stripe: StripeClient) -> None:
    family: Any = "invoice.*"  # Stripe takes it, its types do not
    made = stripe.v1.webhook_endpoints.create({"url": listener.url, "enabled_events": [family]})
    assert made.secret is not None
    assert made.secret.startswith("whsec_")
    assert "secret" not in stripe.v1.webhook_endpoints.retrieve(made.id).to_dict()
    shop.subscribe(shop.customer())
    sandbox.settle()
    kinds = sorted(json.loads(body)["type"] for body in listener.bodies)
    assert kinds == ["invoice.created", "invoice.finalized", "invoice.paid", "invoice.payment_succeeded"]
    stripe.v1.webhook_endpoints.update(made.id, {"disabled": True})
    shop.subscribe(shop.customer())
    sandbox.settle()
    assert len(listener.bodies) == 4
    assert stripe.v1.webhook_endpoints.delete(made.id).deleted
    with pytest.raises(library.InvalidRequestError):
        stripe.v1.webhook_endpoints.create({"url": "https://example.com/hook", "enabled_events": ["*"]})


def test_a_test_takes_events_and_sends_them_as_it_likes(sandbox: Sandbox, shop: Shop, listener: Listener) -> None:
    secret = sandbox.listen_to(listener.url)
    sandbox.hold()
    shop.subscribe(shop.customer())
    events = sandbox.held()
    assert sandbox.held() == []
    assert listener.bodies == []
    assert [event["type"] for event in events] == shop.types()
    order = [*events[::-1], events[0]]
    listener.answers = [200, 500]
    assert sandbox.deliver(order) == [200, 500, *[200] * (len(order) - 2)]
    assert [json.loads(body)["id"] for body in listener.bodies] == [event["id"] for event in order]
    assert library.Webhook.construct_event(body_of(order[0]), listener.signatures[0], secret).type == order[0]["type"]
    sandbox.hold(False)
    shop.customer(None)
    sandbox.settle()
    assert len(listener.bodies) == len(order) + 1


def test_no_answer_waits_for_a_webhook(sandbox: Sandbox, shop: Shop) -> None:
    sandbox.listen_to("http://127.0.0.1:9/nobody")  # the discard port: refused at once
    shop.customer(None)
    sandbox.settle()
    assert [attempt.answer for attempt in sandbox.deliveries.attempts] == ["not reached"] * 4


def test_events_are_listed_by_type(shop: Shop) -> None:
    shop.subscribe(shop.customer())
    found = shop.stripe.v1.events.list({"type": "invoice.paid"}).data
    assert [event.type for event in found] == ["invoice.paid"]
    found = shop.stripe.v1.events.list({"types": ["invoice.paid", "customer.created"]}).data
    assert [event.type for event in found] == ["invoice.paid", "customer.created"]
    assert found[0].request is not None
    assert found[0].request.id is not None
    assert found[0].request.id.startswith("req_")


@pytest.mark.parametrize(
    ("fault", "done"),
    [
        ({"kind": "down"}, False),
        ({"kind": "hang", "delay_s": 0.05}, False),
        ({"kind": "lost"}, True),
        ({"kind": "hang_after", "delay_s": 0.05}, True),
    ],
)
def test_connections_that_end(sandbox: Sandbox, stripe: StripeClient, fault: dict[str, object], done: bool) -> None:
    sandbox.fault(**fault, method="POST", path="/v1/customers")  # type: ignore[arg-type]  # a test's table
    with pytest.raises(library.APIConnectionError):
        stripe.v1.customers.create({"name": "A"}, {"idempotency_key": "once"})
    assert len(stripe.v1.customers.list().data) == done
    stripe.v1.customers.create({"name": "A"}, {"idempotency_key": "once"})
    assert len(stripe.v1.customers.list().data) == 1


def test_error_answers_and_slow_ones(sandbox: Sandbox, stripe: StripeClient) -> None:
    sandbox.fault("status", status=429, times=1)
    with pytest.raises(library.RateLimitError):
        stripe.v1.customers.list()
    sandbox.fault("status", status=500, path="/v1/customers", times=-1)
    with pytest.raises(library.APIError):
        stripe.v1.customers.list()
    assert stripe.v1.prices.list().data
    sandbox.clear_faults()
    sandbox.fault("slow", delay_s=0.2)
    before = time.monotonic()
    assert stripe.v1.customers.list().data == []
    assert time.monotonic() - before > 0.19
    with pytest.raises(ValueError, match="no fault"):
        sandbox.fault("earthquake")


def test_a_retrying_client_makes_one_subscription(sandbox: Sandbox, shop: Shop) -> None:
    customer = shop.customer()
    patient = StripeClient(sandbox.key, base_addresses={"api": sandbox.url}, max_network_retries=2)
    sandbox.fault("status", status=500, method="POST", path="/v1/subscriptions")
    sandbox.fault("lost", method="POST", path="/v1/subscriptions")
    patient.v1.subscriptions.create({"customer": customer, "items": [{"price": PRO}]})
    assert len(client_of(sandbox).v1.subscriptions.list({"customer": customer}).data) == 1
