"""The door that Stripe knocks at: what gets in, what is kept, and that nobody else does."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import AuditEntry, User
from accounts.scoping import unfenced
from billing import tasks
from billing.models import StripeEvent
from billing.webhooks import MOST_BYTES, customer_of, keep, replay, work
from lib.clock import wall_now
from tests.billing.shop import SECRETS, Shop, plan_of, post, row_of, sign
from tests.people import Person

EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "invoice.paid",
    "created": 1,
    "data": {"object": {"object": "invoice"}},
}
TEXT = json.dumps(EVENT)


def kept() -> int:
    return StripeEvent.objects.count()


@pytest.mark.parametrize("secret", SECRETS)
def test_both_secrets_of_a_rotation_open(shop: Shop, secret: str) -> None:
    answer = post(TEXT, sign(TEXT, secret, 290))
    assert (answer.status_code, json.loads(answer.content)) == (200, {"received": True, "new": True})
    again = post(TEXT, sign(TEXT, secret))
    assert (again.status_code, json.loads(again.content)) == (200, {"received": True, "new": False})
    assert kept() == 1


REFUSED = {
    "no signature": (TEXT, ""),
    "another secret": (TEXT, sign(TEXT, "whsec_of_somebody_else")),
    "too old": (TEXT, sign(TEXT, SECRETS[0], 301)),
    "another body": (TEXT.replace("invoice.paid", "customer.subscription.deleted"), sign(TEXT, SECRETS[0])),
    "junk for a signature": (TEXT, "t=now,v1=yes"),
    "an older scheme": (TEXT, sign(TEXT, SECRETS[0]).replace("v1=", "v0=")),
    "no JSON": ("hello", sign("hello", SECRETS[0])),
    "no event": ('{"id": 7}', sign('{"id": 7}', SECRETS[0])),
    "nothing": ("", ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_stripe_did_not_send_is_refused_and_leaves_nothing(shop: Shop, name: str) -> None:
    text, signature = REFUSED[name]
    assert post(text, signature).status_code == 400
    assert kept() == 0


def test_bytes_that_are_no_text_are_refused(shop: Shop) -> None:
    answer = Client().post(
        "/billing/webhook/", b"\xff\xfe", content_type="application/json", HTTP_STRIPE_SIGNATURE=sign("x", SECRETS[0])
    )
    assert (answer.status_code, kept()) == (400, 0)


def test_size_and_method(shop: Shop) -> None:
    text = json.dumps({**EVENT, "filler": "x" * MOST_BYTES})
    assert post(text, sign(text, SECRETS[0])).status_code == 413
    assert Client().get("/billing/webhook/").status_code == 405
    huge = "x" * 2_000_000
    assert post(huge, sign(huge, SECRETS[0])).status_code in {400, 413}
    assert kept() == 0


def test_nobodys_session_helps(
    shop: Shop, owner: Person, manager: Person, readonly: Person, stranger: Person, operator: Person, visitor: Person
) -> None:
    for person in (owner, manager, readonly, stranger, operator, visitor):
        for client in (person.client, Client(enforce_csrf_checks=True)):
            answer = client.post("/billing/webhook/", TEXT, content_type="application/json")
            assert answer.status_code == 400
    assert kept() == 0


def test_unknown_types_are_kept_and_left_alone(shop: Shop) -> None:
    text = json.dumps({**EVENT, "type": "charge.dispute.created"})
    post(text, sign(text, SECRETS[0]))
    assert StripeEvent.objects.get().state == "ignored"
    assert shop.work() == []


def test_a_customer_that_is_not_ours_is_ignored(shop: Shop) -> None:
    text = json.dumps({**EVENT, "data": {"object": {"object": "invoice", "customer": "cus_else"}}})
    post(text, sign(text, SECRETS[0]))
    (event,) = shop.work()
    assert (event.state, event.attempts) == ("ignored", 1)


def test_whom_an_event_is_about() -> None:
    def about(found: dict[str, object]) -> str:
        return customer_of({"data": {"object": found}})

    assert about({"object": "customer", "id": "cus_1"}) == "cus_1"
    assert about({"object": "invoice", "customer": "cus_2"}) == "cus_2"
    assert about({"object": "invoice", "customer": {"id": "cus_3"}}) == "cus_3"
    assert about({"object": "invoice", "customer": None}) == ""
    assert about({"object": "charge"}) == ""


def test_a_payload_is_never_believed(shop: Shop, freebie: Person) -> None:
    shop.buy(freebie)
    events = shop.sandbox.held()
    told = next(event for event in events if event["type"] == "customer.subscription.created")
    price = told["data"]["object"]["items"]["data"][0]["price"]
    price["lookup_key"], told["data"]["object"]["status"] = "candor_desk_year", "canceled"
    shop.post(told)
    shop.work()
    assert plan_of(freebie) == "pro"


def test_what_fails_is_tried_again_and_said(shop: Shop, freebie: Person) -> None:
    shop.buy(freebie)
    shop.sandbox.fault("status", status=500, times=-1)
    (first, *_rest) = shop.deliver()
    assert (first.state, first.attempts) == ("failed", 1)
    assert "does not answer" in first.error
    assert plan_of(freebie) == "free"
    shop.sandbox.clear_faults()
    assert tasks.sweep_events() == 0, "not before five minutes"
    StripeEvent.objects.update(tried_at=wall_now() - timedelta(minutes=6))
    assert tasks.sweep_events() > 0
    assert plan_of(freebie) == "pro"
    assert set(StripeEvent.objects.values_list("state", "error")) <= {("done", ""), ("ignored", "")}


def test_the_sweeper_finds_what_no_task_did(shop: Shop, freebie: Person) -> None:
    shop.buy(freebie)
    for event in shop.sandbox.held():
        shop.post(event)
    assert tasks.sweep_events() == 0, "their tasks may still come"
    StripeEvent.objects.update(received_at=wall_now() - timedelta(seconds=31))
    assert tasks.sweep_events() > 0
    assert plan_of(freebie) == "pro"
    assert tasks.sweep_events() == 0


def test_a_price_of_no_plan_changes_nothing_and_is_said(shop: Shop, freebie: Person) -> None:
    shop.buy(freebie)
    shop.deliver()

    def spoil() -> None:
        for row in shop.sandbox.world.table("subscription").values():
            row["items"]["data"][0]["price"] |= {"lookup_key": None, "product": "prod_other"}

    shop.sandbox.call(spoil)
    keep({**EVENT, "data": {"object": {"object": "invoice", "customer": _customer(shop)}}})
    (event,) = shop.work()
    assert event.state == "failed"
    assert "is of no plan" in event.error
    assert plan_of(freebie) == "pro"


def test_a_replaced_price_still_buys_its_plan(shop: Shop, freebie: Person) -> None:
    shop.buy(freebie, "candor_desk_month")

    def replace() -> None:
        for row in shop.sandbox.world.table("subscription").values():
            row["items"]["data"][0]["price"]["lookup_key"] = None

    shop.sandbox.call(replace)
    shop.deliver()
    assert plan_of(freebie) == "desk"


def _customer(shop: Shop) -> str:
    return str(shop.sandbox.call(lambda: next(iter(shop.sandbox.world.table("customer")))))


@pytest.mark.django_db(transaction=True)
def test_one_event_in_many_hands_at_once(shop: Shop, freebie: Person) -> None:
    shop.buy(freebie)
    events = shop.sandbox.held()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(shop.post, [event for event in events for _ in range(3)]))
    assert {answer.status_code for answer in answers} == {200}
    assert sum(json.loads(answer.content)["new"] for answer in answers) == len(events) == kept()
    start = threading.Barrier(4)
    pk = StripeEvent.objects.filter(state="received").values_list("pk", flat=True)[0]

    def race(_: int) -> object:
        start.wait(10)
        return work(pk)

    with ThreadPoolExecutor(4) as pool:
        done = [found for found in pool.map(race, range(4)) if found is not None]
    assert len(done) == 1
    assert StripeEvent.objects.get(pk=pk).attempts == 1
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, list(StripeEvent.objects.values_list("pk", flat=True))))
    assert plan_of(freebie) == "pro"
    row = row_of(freebie)
    assert row is not None
    assert row.status == "trialing"
    with unfenced():
        assert AuditEntry.objects.filter(action="plan.changed", organization=freebie.organization).count() == 1


def test_replay_from_the_console_is_audited(shop: Shop, freebie: Person, operator: Person, owner: Person) -> None:
    shop.buy(freebie)
    shop.deliver()
    event = StripeEvent.objects.filter(state="done").first()
    assert event is not None
    data = {"action": "replay_events", "_selected_action": [event.pk]}
    assert owner.client.post("/console/billing/stripeevent/", data).status_code in {302, 403, 404}
    event.refresh_from_db()
    assert event.state == "done"
    answer = operator.client.post("/console/billing/stripeevent/", data)
    assert answer.status_code == 302
    event.refresh_from_db()
    assert event.state == "received"
    with unfenced():
        entry = AuditEntry.objects.get(action="stripe_event.replayed")
    assert (entry.user_id, entry.details["event"]) == (operator.user.pk, event.event_id)
    shop.work()
    event.refresh_from_db()
    assert (event.state, event.attempts) == ("done", 2)
    for name in ("stripeevent", "subscription", "customer", "checkoutattempt"):
        assert operator.client.get(f"/console/billing/{name}/").status_code == 200


def test_an_event_without_a_person_is_not_replayed_by_a_task(shop: Shop, operator: Person) -> None:
    keep({**EVENT, "type": "charge.refunded"})
    event = StripeEvent.objects.get()
    with unfenced():
        replay(event, User.objects.get(pk=operator.user.pk))
    event.refresh_from_db()
    assert event.state == "received"
    assert [done.state for done in shop.work()] == ["ignored"]
    tasks.work_on(event.pk)


def test_no_secrets_no_door(shop: Shop, settings: Settings) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = []
    assert post(TEXT, sign(TEXT, SECRETS[0])).status_code == 404
