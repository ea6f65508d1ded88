"""Fault 34: whatever breaks between the wish to buy and the payment page, nobody buys twice."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from accounts.models import Role
from accounts.scoping import scope_to
from billing.models import CheckoutAttempt
from lib.clock import wall_now
from tests.billing.shop import Shop, plan_of
from tests.factories import join, make_user
from tests.people import Person, person


def rows(shop: Shop, kind: str) -> list[dict[str, object]]:
    return shop.sandbox.call(lambda: list(shop.sandbox.world.table(kind).values()))


def open_sessions(shop: Shop) -> list[dict[str, object]]:
    return [row for row in rows(shop, "checkout.session") if row["status"] == "open"]


FAULTS: dict[str, dict[str, Any]] = {
    "down": {"kind": "down"},
    "500": {"kind": "status", "status": 500},
    "503": {"kind": "status", "status": 503},
    "429": {"kind": "status", "status": 429},
    "silence": {"kind": "hang", "delay_s": 2.0},
    "too slow": {"kind": "slow", "delay_s": 2.0},
    "answer lost": {"kind": "lost"},
    "done, then silence": {"kind": "hang_after", "delay_s": 2.0},
}


@pytest.mark.parametrize("path", ["/v1/customers", "/v1/checkout/sessions"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_checkout_can_be_tried_again_and_buys_once(
    shop: Shop, freebie: Person, settings: Settings, name: str, path: str
) -> None:
    settings.STRIPE_TIMEOUT_S = 0.3
    order = shop.order(freebie)
    shop.sandbox.fault(path=path, times=-1, **FAULTS[name])
    broken = freebie.client.post(order)
    assert broken.status_code == 503
    assert broken.headers["Retry-After"] == "30"
    text = broken.content.decode()
    assert "cannot buy twice" in text
    assert "Try again" in text
    with scope_to(freebie.organization.pk):
        assert CheckoutAttempt.objects.get().state == "open", "kept although the request was rolled back"
    shop.sandbox.clear_faults()
    session = shop.to_payment(freebie, order)
    assert [row["id"] for row in open_sessions(shop)] == [session]
    assert len(rows(shop, "customer")) == 1
    shop.pay(session)
    shop.deliver()
    assert (plan_of(freebie), len(rows(shop, "subscription"))) == ("pro", 1)


def test_whether_there_is_a_subscription_is_asked_before_a_second_try(shop: Shop, freebie: Person) -> None:
    order = shop.order(freebie)
    session = shop.to_payment(freebie, order)
    shop.sandbox.fault("down", path="/v1/subscriptions", times=-1)
    assert freebie.client.post(order).status_code == 503
    shop.sandbox.clear_faults()
    assert shop.to_payment(freebie, order) == session


def test_with_the_provider_away_plans_are_shown_and_nothing_is_sold(shop: Shop, freebie: Person) -> None:
    shop.sandbox.fault("down", times=-1)
    page = freebie.client.get("/billing/plans/")
    assert page.status_code == 200
    assert b"does not answer" in page.content
    assert b"No price at the moment" in page.content
    answer = freebie.client.post("/billing/checkout/", {"price": "candor_pro_month", "currency": "usd"})
    assert answer.status_code == 503


def test_every_page_survives_the_provider_being_away(shop: Shop, freebie: Person) -> None:
    shop.buy(freebie)
    shop.deliver()
    shop.sandbox.fault("down", times=-1)
    assert freebie.client.get("/billing/").status_code == 200
    assert freebie.client.get("/billing/invoices/").status_code == 503
    assert freebie.client.get("/billing/change/?price=candor_desk_month").status_code == 503
    for name in ("cancel", "portal", "refresh"):
        answer = freebie.client.post(f"/billing/{name}/")
        assert answer.status_code == 503
        assert b"does not answer" in answer.content
    assert plan_of(freebie) == "pro"


def test_a_change_whose_reading_back_fails_is_still_on_record(shop: Shop, freebie: Person) -> None:
    shop.buy(freebie)
    shop.deliver()
    shop.sandbox.fault("down", method="GET", path="/v1/subscriptions", times=-1)
    assert freebie.client.post("/billing/cancel/").status_code == 302
    shop.sandbox.clear_faults()
    shop.deliver()
    assert b"Keep the plan" in freebie.client.get("/billing/").content


def test_a_second_click_finds_the_same_payment_page(shop: Shop, freebie: Person) -> None:
    first, second = shop.order(freebie), shop.order(freebie)
    assert first == second
    assert shop.to_payment(freebie, first) == shop.to_payment(freebie, second)


def test_another_choice_closes_the_page_before_it(shop: Shop, freebie: Person) -> None:
    first = shop.order(freebie)
    before = shop.to_payment(freebie, first)
    second = shop.order(freebie, "candor_desk_year")
    assert first != second
    after = shop.to_payment(freebie, second)
    assert [row["id"] for row in open_sessions(shop)] == [after]
    assert before != after
    assert freebie.client.post(first).headers["Location"] == "/billing/return/"


def test_an_old_wish_is_made_anew(shop: Shop, freebie: Person) -> None:
    order = shop.order(freebie)
    shop.to_payment(freebie, order)
    with scope_to(freebie.organization.pk):
        CheckoutAttempt.objects.update(created_at=wall_now() - timedelta(hours=23))
    assert shop.order(freebie) != order


def test_a_page_that_expired_is_said_and_closed(shop: Shop, freebie: Person) -> None:
    order = shop.order(freebie)
    shop.to_payment(freebie, order)
    shop.sandbox.advance(90_000)
    page = freebie.client.post(order, follow=True)
    assert b"choose your plan once more" in page.content
    assert shop.order(freebie) != order


def test_who_has_a_subscription_buys_no_second(shop: Shop, freebie: Person) -> None:
    order = shop.order(freebie)
    shop.pay(shop.to_payment(freebie, order))
    refused = freebie.client.post(order, follow=True)  # in another tab, before any event has arrived
    assert b"has a subscription already" in refused.content
    assert plan_of(freebie) == "pro", "asking has read it"
    answer = freebie.client.post("/billing/checkout/", {"price": "candor_desk_month", "currency": "usd"})
    assert answer.status_code == 422
    assert b"has a subscription already" in answer.content
    assert (open_sessions(shop), len(rows(shop, "subscription"))) == ([], 1)


def test_a_payment_in_flight_stops_another_wish(shop: Shop, freebie: Person) -> None:
    shop.buy(freebie)
    answer = freebie.client.post("/billing/checkout/", {"price": "candor_desk_month", "currency": "usd"})
    assert answer.status_code == 503
    assert b"wait until it is confirmed" in answer.content


@pytest.mark.django_db(transaction=True)
def test_many_hands_at_once_buy_once(shop: Shop, freebie: Person) -> None:
    people = [freebie]
    for number in range(3):
        user = make_user(f"admin{number}@small.example")
        join(freebie.organization, user, Role.ADMIN)
        people.append(person(user, freebie.organization))
    start = threading.Barrier(len(people) * 2)

    def press(who: Person) -> int:
        start.wait(20)
        answer = who.client.post("/billing/checkout/", {"price": "candor_pro_month", "currency": "usd"})
        return who.client.post(answer.headers["Location"]).status_code

    with ThreadPoolExecutor(len(people) * 2) as pool:
        assert set(pool.map(press, people * 2)) == {302}
    assert len(open_sessions(shop)) == 1
    assert len(rows(shop, "customer")) == 1
