"""An erased organization is charged no more, and its events name nobody."""

import json

import pytest

from accounts.audit import operator_work
from accounts.erasing import erase_organization
from accounts.models import Organization
from accounts.scoping import scope_to
from billing.errors import BillingError
from billing.models import CheckoutAttempt, Customer, StripeEvent
from tests.billing.shop import Shop, plan_of, row_of
from tests.people import Person


def erase(person: Person) -> None:
    with operator_work("test", "erase"):
        erase_organization(Organization.objects.get(pk=person.organization.pk))


def test_the_subscription_ends_and_the_events_are_emptied(shop: Shop, freebie: Person, stranger: Person) -> None:
    for person in (freebie, stranger):
        shop.buy(person)
        shop.deliver()
    erase(freebie)
    there = shop.sandbox.call(lambda: [row["status"] for row in shop.sandbox.world.table("subscription").values()])
    assert there == ["canceled", "trialing"]
    shop.deliver()
    row = row_of(freebie)
    assert row is not None
    assert (row.status, plan_of(freebie), plan_of(stranger)) == ("canceled", "free", "pro")
    told = json.dumps(list(StripeEvent.objects.values_list("payload", flat=True)))
    assert freebie.user.email not in told
    assert stranger.user.email in told
    with scope_to(freebie.organization.pk):
        assert Customer.objects.exists(), "the invoices lead there"
        assert not CheckoutAttempt.objects.exists()


def test_while_the_provider_is_away_nothing_is_erased(shop: Shop, freebie: Person) -> None:
    shop.buy(freebie)
    shop.deliver()
    shop.sandbox.fault("down", times=-1)
    with pytest.raises(BillingError):
        erase(freebie)
    assert plan_of(freebie) == "pro"


def test_who_never_paid_is_erased_without_asking(shop: Shop, freebie: Person) -> None:
    shop.sandbox.fault("down", times=-1)
    erase(freebie)
    assert row_of(freebie) is None
