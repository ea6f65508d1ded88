"""Reading changes nothing, and writing takes the form's own token (security row S10)."""

import pytest
from django.test import Client, override_settings
from django.urls import reverse

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
