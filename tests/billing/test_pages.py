"""Every page of billing, for everybody who may or may not open it."""

from datetime import timedelta

import pytest
from django.urls import reverse
from pytest_django import Settings

from accounts.models import AuditEntry
from accounts.scoping import scope_to
from billing.models import CheckoutAttempt, Customer
from lib.clock import wall_now
from tests.billing.shop import FAILS_LATER, Shop, age, plan_of, row_of
from tests.people import Person

PAGES = ("overview", "plans", "invoices", "return")
READ_BY_ALL = ("overview", "plans", "return")


def audited(person: Person, action: str) -> list[dict[str, object]]:
    with scope_to(person.organization.pk):
        return [entry.details for entry in AuditEntry.objects.filter(action=action)]


def test_buying_a_plan_from_the_table_to_the_board(shop: Shop, freebie: Person) -> None:
    table = freebie.client.get("/billing/plans/?interval=year&currency=eur").content.decode()
    assert "Try Pro" in table
    assert "Try Desk" in table
    assert "€" in table
    order = shop.order(freebie)
    page = freebie.client.get(order).content.decode()
    assert "Each month" in page
    assert "14 days" in page
    session = shop.to_payment(freebie, order)
    waiting = freebie.client.get(f"/billing/return/?session_id={session}")
    assert b"Waiting for the payment provider" in waiting.content
    assert waiting.headers["Refresh"].startswith("3; url=/billing/return/?look=1")
    assert plan_of(freebie) == "free"
    shop.pay(session)
    assert plan_of(freebie) == "free", "nothing but Stripe's word changes the plan"
    shop.deliver()
    assert plan_of(freebie) == "pro"
    arrived = freebie.client.get("/billing/return/")
    assert b"You are on Pro" in arrived.content
    assert "Refresh" not in arrived.headers
    overview = freebie.client.get("/billing/").content.decode()
    assert "Trial ends" in overview
    assert "Cancel the plan" in overview
    (started,), (changed,) = audited(freebie, "checkout.started"), audited(freebie, "plan.changed")
    assert started == {"price": "candor_pro_month", "currency": "usd"}
    assert (changed["before"], changed["after"], changed["phase"]) == ("free", "pro", "trial")
    assert str(changed["cause"]).startswith("evt_")


def test_the_return_page_gives_up_honestly(shop: Shop, freebie: Person) -> None:
    page = freebie.client.get("/billing/return/?look=20")
    assert b"The confirmation has not come yet" in page.content
    assert "Refresh" not in page.headers
    assert "Refresh" in freebie.client.get("/billing/return/?look=x").headers


def test_asking_the_provider_works_without_any_event(shop: Shop, freebie: Person) -> None:
    assert freebie.client.post("/billing/refresh/", follow=True).status_code == 200
    shop.buy(freebie)
    freebie.client.post("/billing/refresh/")
    assert plan_of(freebie) == "pro"


def test_no_trial_where_none_is_set(shop: Shop, freebie: Person, settings: Settings) -> None:
    settings.BILLING_TRIAL_DAYS = 0
    assert b"Buy Pro" in freebie.client.get("/billing/plans/").content
    shop.buy(freebie)
    shop.deliver()
    row = row_of(freebie)
    assert row is not None
    assert row.status == "active"
    page = freebie.client.get("/billing/invoices/").content.decode()
    assert "Paid" in page
    assert "$" in page


def test_an_upgrade_is_previewed_to_the_cent_and_charged_once(shop: Shop, freebie: Person, settings: Settings) -> None:
    settings.BILLING_TRIAL_DAYS = 0
    shop.buy(freebie)
    shop.deliver()
    page = freebie.client.get("/billing/change/?price=candor_desk_month")
    text = page.content.decode()
    assert "Charged now" in text
    quote = page.context["quote"]
    before = shop.sandbox.call(lambda: len(shop.sandbox.world.table("invoice")))
    for _ in range(2):
        freebie.client.post("/billing/change/?price=candor_desk_month", {"token": quote.token})
    invoices = shop.sandbox.call(lambda: list(shop.sandbox.world.table("invoice").values()))
    assert len(invoices) == before + 1
    assert quote.due == f"${invoices[-1]['total'] / 100:,.2f}"
    assert plan_of(freebie) == "desk"
    assert audited(freebie, "subscription.changed") == [
        {"before": "pro", "after": "desk", "price": "candor_desk_month"}
    ]


def test_a_declined_upgrade_changes_nothing(shop: Shop, freebie: Person, settings: Settings) -> None:
    settings.BILLING_TRIAL_DAYS = 0
    shop.buy(freebie)
    shop.deliver()
    shop.mend_card("4000000000000002")
    quote = freebie.client.get("/billing/change/?price=candor_desk_month").context["quote"]
    answer = freebie.client.post("/billing/change/?price=candor_desk_month", {"token": quote.token})
    assert answer.status_code == 422
    assert b"declined" in answer.content
    assert plan_of(freebie) == "pro"
    assert audited(freebie, "subscription.changed") == []


def test_a_downgrade_waits_for_the_next_invoice(shop: Shop, freebie: Person, settings: Settings) -> None:
    settings.BILLING_TRIAL_DAYS = 0
    shop.buy(freebie, "candor_desk_month")
    shop.deliver()
    page = freebie.client.get("/billing/change/?price=candor_pro_month")
    assert "On the next invoice" in page.content.decode()
    freebie.client.post("/billing/change/?price=candor_pro_month", {"token": page.context["quote"].token})
    assert plan_of(freebie) == "pro"


@pytest.mark.parametrize("price", ["candor_gold_month", "", "candor_pro_month"])
def test_what_cannot_be_changed_to_is_refused(shop: Shop, freebie: Person, price: str) -> None:
    shop.buy(freebie)
    shop.deliver()
    assert freebie.client.get("/billing/change/", {"price": price}).status_code == 422
    assert freebie.client.post("/billing/change/?price=candor_desk_month", {"token": "made up"}).status_code == 422


def test_cancel_in_three_clicks_and_resume(shop: Shop, freebie: Person) -> None:
    shop.buy(freebie)
    shop.deliver()
    row = row_of(freebie)
    assert row is not None
    assert row.period_end is not None
    end = f"{row.period_end:%Y-%m-%d %H:%M}"
    overview = freebie.client.get("/billing/").content.decode()
    assert 'href="/billing/cancel/"' in overview  # the first click
    assert end in freebie.client.get("/billing/cancel/").content.decode()
    after = freebie.client.post("/billing/cancel/", follow=True).content.decode()  # the second
    assert "Keep the plan" in after
    assert end in after
    assert plan_of(freebie) == "pro"
    assert b"It is cancelled already" in freebie.client.get("/billing/cancel/").content
    assert freebie.client.post("/billing/cancel/").status_code == 422
    assert "Your plan goes on." in freebie.client.post("/billing/resume/", follow=True).content.decode()
    assert freebie.client.post("/billing/resume/").status_code == 422
    assert [entry["plan"] for entry in audited(freebie, "subscription.canceled")] == ["pro"]
    assert len(audited(freebie, "subscription.resumed")) == 1


def test_the_end_comes_with_the_clock_and_deletes_nothing(shop: Shop, freebie: Person) -> None:
    shop.buy(freebie)
    shop.deliver()
    freebie.client.post("/billing/cancel/")
    shop.sandbox.advance(15 * 86_400)
    shop.deliver()
    assert plan_of(freebie) == "free"
    page = freebie.client.get("/billing/plans/").content.decode()
    assert "Buy Pro" in page, "one trial for each organization"


def test_dunning_is_told(shop: Shop, freebie: Person) -> None:
    shop.buy(freebie, number=FAILS_LATER)
    shop.sandbox.advance(14 * 86_400 + 7200)
    shop.deliver()
    row = row_of(freebie)
    assert row is not None
    assert row.status == "past_due"
    age(freebie, past_due_since=wall_now() - timedelta(days=1))
    text = freebie.client.get("/billing/").content.decode()
    assert "A payment failed" in text
    assert "Past due since" in text
    assert "Kept until" in text
    assert freebie.client.get("/billing/change/?price=candor_desk_month").status_code == 422


def test_the_portal(shop: Shop, freebie: Person) -> None:
    assert freebie.client.post("/billing/portal/").status_code == 404, "no customer yet"
    shop.buy(freebie)
    answer = freebie.client.post("/billing/portal/")
    assert answer.headers["Location"].startswith(shop.sandbox.url)
    policy = freebie.client.get("/billing/").headers["Content-Security-Policy"]
    assert f"form-action 'self' {shop.sandbox.url}" in policy


def test_currencies(shop: Shop, freebie: Person, settings: Settings) -> None:
    settings.BILLING_CURRENCIES = ["gbp", "usd", "sek"]
    page = freebie.client.get("/billing/plans/")
    assert page.context["currencies"] == ("gbp", "usd")
    for wrong in ({"currency": "sek"}, {}):
        wish = {"price": "candor_pro_month", **wrong}
        assert freebie.client.post("/billing/checkout/", wish).status_code == 422
    shop.buy(freebie, currency="gbp")
    shop.deliver()
    assert freebie.client.get("/billing/plans/?currency=usd").context["currencies"] == ("gbp",)
    with scope_to(freebie.organization.pk):
        assert Customer.objects.get().currency == "gbp"
    shop.sandbox.advance(1)


@pytest.mark.parametrize("name", PAGES)
def test_who_may_read(
    shop: Shop, owner: Person, manager: Person, teammate: Person, readonly: Person, visitor: Person, name: str
) -> None:
    address = reverse(f"billing:{name}")
    for person in (owner, manager):
        assert person.client.get(address).status_code == 200
    for person in (teammate, readonly):
        assert person.client.get(address).status_code == (200 if name in READ_BY_ALL else 403)
    assert visitor.client.get(address).headers["Location"].startswith("/accounts/login/")


ACTS = ("checkout", "refresh", "cancel", "resume", "portal")


@pytest.mark.parametrize("name", ACTS)
def test_only_owners_and_admins_act(
    shop: Shop, owner: Person, manager: Person, teammate: Person, readonly: Person, visitor: Person, name: str
) -> None:
    shop.buy(manager)
    shop.deliver()
    for person in (teammate, readonly):
        data = {"price": "candor_pro_month", "currency": "usd"}
        assert person.client.post(reverse(f"billing:{name}"), data).status_code == 403
    assert visitor.client.post(reverse(f"billing:{name}")).headers["Location"].startswith("/accounts/login/")
    text = teammate.client.get("/billing/").content.decode()
    assert "Owners and admins" in text
    assert "Cancel the plan" not in text


def test_a_stranger_finds_nothing(shop: Shop, owner: Person, stranger: Person, operator: Person) -> None:
    order = shop.order(owner)
    for person in (stranger, operator):
        assert person.client.get(order).status_code == 404
        assert person.client.post(order).status_code == 404
    shop.pay(shop.to_payment(owner, order))
    shop.deliver()
    assert row_of(stranger) is None
    assert plan_of(stranger) == "pro"
    for name in ("cancel", "change"):
        assert stranger.client.get(reverse(f"billing:{name}")).status_code == 404
    assert operator.client.get("/billing/").status_code == 404, "belongs to no organization"


def test_without_a_key_nobody_pays(owner: Person, settings: Settings) -> None:
    settings.STRIPE_SECRET_KEY = ""
    for name in (*PAGES, "portal"):
        page = owner.client.get(reverse(f"billing:{name}"))
        assert page.status_code == 404
        assert b"takes no payments" in page.content
        assert b"Desk plan" in page.content
    assert owner.client.post("/billing/webhook/", "{}", content_type="application/json").status_code == 404


def test_an_order_that_is_done_leads_on(shop: Shop, freebie: Person) -> None:
    order = shop.order(freebie)
    shop.pay(shop.to_payment(freebie, order))
    shop.deliver()
    assert freebie.client.get(order).headers["Location"] == "/billing/return/"
    with scope_to(freebie.organization.pk):
        assert CheckoutAttempt.objects.get().state == "done"
