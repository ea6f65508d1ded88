"""What passes by itself: grace, ends of periods, copies that are old; and who is told by mail."""

from datetime import datetime, timedelta

import pytest
import time_machine
from django.core.mail import EmailMessage
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts.models import AuditEntry
from accounts.scoping import scope_to, unfenced
from billing import tasks
from billing.models import Subscription
from lib.clock import wall_now
from tests.billing.shop import DAY, FAILS_LATER, Shop, age, plan_of, row_of
from tests.people import Person

Outbox = list[EmailMessage]


@pytest.fixture
def lapsing(shop: Shop, owner: Person, manager: Person, teammate: Person) -> Person:
    """An organization whose second payment has failed just now."""
    shop.buy(owner, number=FAILS_LATER)
    shop.deliver()
    shop.sandbox.advance(14 * DAY + 7200)
    return owner


def subjects(outbox: Outbox) -> list[tuple[str, str]]:
    return [(str(message.subject), message.to[0]) for message in outbox]


def since(when: datetime) -> dict[str, datetime]:
    return {"past_due_since": when}


def test_a_failed_payment_is_mailed_once_to_those_who_can_pay(
    shop: Shop, lapsing: Person, mailoutbox: Outbox, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        shop.deliver()
    assert subjects(mailoutbox) == [
        ("Candor: a payment failed", "owner@desk.example"),
        ("Candor: a payment failed", "manager@desk.example"),
    ]
    assert "stays as it is until" in mailoutbox[0].body
    assert plan_of(lapsing) == "pro"


def test_the_grace_is_warned_of_once_and_ends_in_free(
    shop: Shop, lapsing: Person, mailoutbox: Outbox, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    shop.deliver()
    age(lapsing, **since(wall_now() - timedelta(days=4, hours=23)))
    with django_capture_on_commit_callbacks(execute=True):
        assert tasks.pass_time() == 1
    assert mailoutbox == []
    age(lapsing, **since(wall_now() - timedelta(days=5, hours=1)))
    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            tasks.pass_time()
    assert [message.subject for message in mailoutbox] == ["Candor: your plan ends soon"] * 2, "owner and admin, once"
    assert plan_of(lapsing) == "pro"


def test_a_grace_that_is_over_is_over_even_without_the_provider(
    shop: Shop, lapsing: Person, mailoutbox: Outbox, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    shop.deliver()
    age(lapsing, **since(wall_now() - timedelta(days=7)))
    shop.sandbox.fault("down", times=-1)
    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            tasks.pass_time()
    assert plan_of(lapsing) == "free"
    assert [message.subject for message in mailoutbox] == ["Candor: your plan has ended"] * 2
    assert "Nothing was deleted" in mailoutbox[0].body
    with scope_to(lapsing.organization.pk):
        entry = AuditEntry.objects.filter(action="plan.changed").order_by("-at")[0]
        assert Subscription.objects.get().status == "past_due"
    assert (entry.actor, entry.details["cause"], entry.details["phase"]) == ("stripe", "clock", "lapsed")
    assert b"so Pro has ended" in lapsing.client.get("/billing/").content


def test_before_the_plan_goes_the_provider_is_asked_once_more(shop: Shop, lapsing: Person) -> None:
    shop.deliver()
    age(lapsing, **since(wall_now() - timedelta(days=8)))
    tasks.pass_time()
    row = row_of(lapsing)
    assert row is not None
    assert row.past_due_since is not None
    assert row.past_due_since > wall_now() - timedelta(days=1), "the invoice is younger than we thought"
    assert plan_of(lapsing) == "pro"


def test_an_end_of_which_no_event_told(shop: Shop, freebie: Person) -> None:
    shop.buy(freebie)
    shop.deliver()
    freebie.client.post("/billing/cancel/")
    shop.sandbox.held()
    shop.sandbox.advance(15 * DAY)
    age(freebie, period_end=wall_now())
    tasks.pass_time()
    row = row_of(freebie)
    assert row is not None
    assert (plan_of(freebie), row.status) == ("free", "canceled")
    assert tasks.pass_time() == 0


def test_what_was_not_read_for_a_day_is_read(shop: Shop, freebie: Person) -> None:
    shop.buy(freebie)
    shop.deliver()
    assert tasks.pass_time() == 0
    quote = freebie.client.get("/billing/change/?price=candor_desk_month").context["quote"]
    shop.sandbox.fault("down", method="GET", path="/v1/subscriptions", times=-1)
    freebie.client.post("/billing/change/?price=candor_desk_month", {"token": quote.token})
    shop.sandbox.clear_faults()
    shop.sandbox.held()
    assert plan_of(freebie) == "pro"
    age(freebie, synced_at=wall_now() - timedelta(hours=25))
    assert tasks.pass_time() == 1
    assert plan_of(freebie) == "desk"


def test_it_looks_when_something_is_due_and_no_more(shop: Shop, lapsing: Person) -> None:
    shop.deliver()
    age(lapsing, **since(wall_now() - timedelta(days=7) + timedelta(minutes=2)))

    def looks() -> int:
        with unfenced():
            return AuditEntry.objects.filter(action="operator.work", actor="task:billing").count()

    before = looks()
    for _ in range(5):
        tasks.pass_time()
    assert (looks(), plan_of(lapsing)) == (before + 1, "pro")
    shop.sandbox.fault("down", times=-1)
    with time_machine.travel(wall_now() + timedelta(minutes=2)):
        tasks.pass_time()
    assert (looks(), plan_of(lapsing)) == (before + 2, "free")


def test_without_a_key_no_time_passes(shop: Shop, lapsing: Person, settings: Settings) -> None:
    shop.deliver()
    settings.STRIPE_SECRET_KEY = ""
    assert tasks.pass_time() == 0


def test_paying_late_brings_the_plan_back(shop: Shop, lapsing: Person) -> None:
    shop.deliver()
    age(lapsing, **since(wall_now() - timedelta(days=8)))
    shop.sandbox.fault("down", times=-1)
    tasks.pass_time()
    shop.sandbox.clear_faults()
    assert plan_of(lapsing) == "free"
    shop.mend_card()
    shop.sandbox.advance(10 * DAY)
    shop.deliver()
    assert plan_of(lapsing) == "pro"
