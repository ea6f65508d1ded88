"""Reading changes nothing, and writing takes the form's own token (security row S10)."""

from urllib.parse import urlencode

import pytest
from django.db import transaction
from django.test import Client, override_settings
from django.urls import reverse
from django_scopes import scopes_disabled

from accounts.audit import operator_work
from accounts.models import Organization, User
from billing.models import Subscription
from tests.billing.shop import Shop
from tests.isolation.rules import RANKS, RULES
from tests.isolation.walk import plain_post, twin
from tests.isolation.world import Side, make_side, snapshot

pytestmark = pytest.mark.django_db
FORBIDDEN = 403
WITHOUT_COOKIE = ("api:auth-login", "api:auth-refresh", "api:auth-register", "billing:webhook")
"""Addresses (and allauth's API for apps) that take no cookie, so that no foreign page can act through one."""


@pytest.fixture
def side(db: None) -> Side:
    return make_side("aurora")


def test_no_get_changes_a_row(side: Side, shop: Shop) -> None:
    before = snapshot()
    with override_settings(ACCOUNT_RATE_LIMITS=False):
        for name, rule in RULES.items():
            for caller, person in side.people.items():
                if "GET" in rule.methods and RANKS[caller] >= rule.needs:
                    twin(person.client).get(reverse(name, kwargs=rule.keys(side)))
    assert snapshot() == before


def test_a_post_without_the_forms_token_is_refused(side: Side, shop: Shop) -> None:
    let_in = []
    for name, rule in RULES.items():
        if "POST" in rule.methods:
            client = twin(side.people["owner"].client, Client(enforce_csrf_checks=True))
            response = client.generic("POST", reverse(name, kwargs=rule.keys(side)), **plain_post(rule, side))
            if response.status_code != FORBIDDEN:
                let_in.append(name)
    assert sorted(name for name in let_in if not name.startswith("headless:app:")) == sorted(WITHOUT_COOKIE)


SMUGGLED = {
    "is_staff": "on",
    "is_superuser": "on",
    "is_active": "on",
    "plan": "desk",
    "slug": "taken",
    "id": "1",
    "pk": "1",
    "user": "1",
    "organization_id": "1",
    "erased_at": "2026-01-01",
    "status": "active",
    "amount": "0",
    "period_end": "2099-01-01",
}
"""Columns that no form of a tenant's own has."""


def test_no_form_takes_more_than_its_own_fields(side: Side, shop: Shop) -> None:
    """Mass assignment (security row S3): what a form does not offer cannot be set through it."""
    with operator_work("test", "start on a small plan"):
        Organization.objects.update(plan="free")
    before = guarded()
    for name, rule in RULES.items():
        if "POST" in rule.methods and not name.startswith("headless:"):
            for person in side.people.values():
                with transaction.atomic():
                    body = urlencode(rule.data(side) | SMUGGLED)
                    path = reverse(name, kwargs=rule.keys(side))
                    twin(person.client).post(path, body, content_type="application/x-www-form-urlencoded")
                    assert guarded() == before, name
                    transaction.set_rollback(True)


def guarded() -> list[object]:
    """The columns in question, of the rows that were there."""
    with operator_work("test", "look at what must not change"), scopes_disabled():
        users = User.objects.order_by("pk").values_list("pk", "is_staff", "is_superuser", "is_active")
        tenants = Organization.objects.order_by("pk").values_list("pk", "slug", "plan", "erased_at")
        paid = Subscription.objects.order_by("pk").values_list("organization_id", "status", "amount", "period_end")
        return [*users, *list(tenants)[:1], *paid]
