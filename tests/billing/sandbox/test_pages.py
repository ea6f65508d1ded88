"""The pages: checkout, portal, invoice, clock."""

import re

import httpx
import pytest
import stripe as library

from billing.sandbox.server import Sandbox
from tests.billing.sandbox.conftest import DESK, PRO, PRO_YEAR, Listener, Shop


def test_a_newcomer_buys_pro(shop: Shop) -> None:
    session = shop.checkout(
        client_reference_id="o-1",
        metadata={"organization": "o-1"},
        allow_promotion_codes=True,
        tax_id_collection={"enabled": True},
        automatic_tax={"enabled": True},
        subscription_data={"metadata": {"organization": "o-1"}},
        currency="eur",
    )
    assert (session.status, session.payment_status, session.amount_total) == ("open", "unpaid", 2700)
    assert session.url is not None
    page = httpx.get(session.url).text
    assert "no real money" in page
    assert "€27.00 per month" in page
    assert "€21.60" in shop.post(session.url, action="code", code="welcome20").text
    assert "€21.60" not in shop.post(session.url, action="uncode").text
    shop.post(session.url, action="code", code="WELCOME20")
    left = shop.pay(session.url, email="ada@example.com", country="DE", tax_id="de 123456789")
    assert left.status_code == 303
    assert left.headers["location"] == f"http://127.0.0.1:8000/done?session={session.id}"
    done = shop.stripe.v1.checkout.sessions.retrieve(session.id, {"expand": ["line_items", "subscription", "customer"]})
    assert (done.status, done.payment_status, done.amount_total) == ("complete", "paid", 2160)
    assert (done.client_reference_id, done.url) == ("o-1", None)
    assert done.line_items is not None
    assert done.line_items.data[0].price is not None
    assert done.line_items.data[0].price.id == PRO
    assert isinstance(done.subscription, library.Subscription)
    assert (done.subscription.status, done.subscription.metadata["organization"]) == ("active", "o-1")
    assert isinstance(done.customer, library.Customer)
    taxes = shop.stripe.v1.customers.tax_ids.list(done.customer.id).data
    assert [(tax.type, tax.value) for tax in taxes] == [("eu_vat", "DE123456789")]
    assert "checkout.session.completed" in shop.types()
    assert shop.pay(session.url).status_code == 410


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"number": "4111 1111 1111 1111"}, "number", "test cards"),
        ({"number": "4000000000000002"}, "number", "declined"),
        ({"number": "4000000000009995"}, "number", "insufficient"),
        ({"number": "4000000000000341"}, "number", "declined"),
        ({"expiry": "01/20"}, "expiry", "expired"),
        ({"expiry": "13/30"}, "expiry", "MM/YY"),
        ({"cvc": "12"}, "cvc", "3 digits"),
        ({"name": ""}, "name", "name on the card"),
        ({"email": "nobody"}, "email", "e-mail"),
        ({"tax_id": "12"}, "tax_id", "no tax id"),
        ({"action": "code", "code": "NOPE"}, "code", "not valid"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(shop: Shop, fields: dict[str, str], field: str, words: str) -> None:
    session = shop.checkout(allow_promotion_codes=True, tax_id_collection={"enabled": True})
    answer = shop.post(session.url or "", **{"action": "pay", **CARD_AND_MAIL, **fields})
    assert answer.status_code in {402, 422}
    found = re.search(rf'<p class="error" id="{field}-error">(.*?)</p>', answer.text)
    assert found
    assert words.lower() in found[1].lower()
    assert f'aria-describedby="{field}-error"' in answer.text
    assert shop.stripe.v1.subscriptions.list({"status": "all"}).data == []


CARD_AND_MAIL = {
    "number": "4242424242424242",
    "expiry": "12 / 2040",
    "cvc": "123",
    "name": "Ada",
    "email": "ada@example.com",
}


def test_a_card_that_asks_is_confirmed_or_refused(shop: Shop) -> None:
    session = shop.checkout()
    url = session.url or ""
    asked = shop.pay(url, number="4000002500003155", email="ada@example.com")
    assert "is this you" in asked.text
    assert shop.stripe.v1.subscriptions.list().data == []
    assert shop.post(url, action="refuse").status_code == 402
    shop.pay(url, number="4000002500003155", email="ada@example.com")
    assert shop.post(url, action="confirm").status_code == 303
    made = shop.stripe.v1.subscriptions.list().data[0]
    assert made.status == "active"
    shop.sandbox.advance(35 * 86_400)
    assert shop.subscription(made).status == "active"  # it asks only once


def test_a_trial_takes_the_card_and_no_money(shop: Shop) -> None:
    session = shop.checkout(subscription_data={"trial_period_days": 14}, customer=shop.customer(None))
    url = session.url or ""
    assert session.amount_total == 0
    assert "Free until" in httpx.get(url).text
    assert shop.pay(url, number="4000000000000341").status_code == 303
    made = shop.stripe.v1.subscriptions.list({"status": "trialing"}).data[0]
    done = shop.stripe.v1.checkout.sessions.retrieve(session.id)
    assert done.payment_status == "no_payment_required"
    shop.sandbox.advance(15 * 86_400)
    assert shop.subscription(made).status == "past_due"


def test_sessions_end(shop: Shop) -> None:
    session, other = shop.checkout(), shop.checkout()
    assert shop.stripe.v1.checkout.sessions.expire(session.id).status == "expired"
    assert httpx.get(session.url or "").status_code == 410
    shop.sandbox.advance(86_401)
    assert shop.stripe.v1.checkout.sessions.retrieve(other.id).status == "expired"
    assert shop.types().count("checkout.session.expired") == 2
    with pytest.raises(library.InvalidRequestError):
        shop.stripe.v1.checkout.sessions.expire(session.id)


def test_pages_are_locked_to_their_own_origin(sandbox: Sandbox, shop: Shop) -> None:
    url = shop.checkout().url or ""
    page = httpx.get(url)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self' http://127.0.0.1:8000" in policy
    assert "<script" not in page.text
    assert " style=" not in page.text
    assert httpx.get(f"{sandbox.url}/favicon.ico").status_code == 204
    assert httpx.get(f"{sandbox.url}/sandbox.css").headers["content-type"].startswith("text/css")
    assert httpx.post(url, data={"action": "pay"}, headers={"Origin": "http://evil.example"}).status_code == 403
    assert httpx.post(url, data={"action": "pay"}).status_code == 403
    assert httpx.get(url, headers={"Host": "evil.example"}).status_code == 421
    assert httpx.get(f"{sandbox.url}/c/pay/cs_nothing").status_code == 404
    assert httpx.get(f"{sandbox.url}/i/nothing").status_code == 404


def test_what_is_typed_is_escaped(shop: Shop) -> None:
    url = shop.checkout().url or ""
    answer = shop.pay(url, name='<script>"x"</script>', email="no address")
    assert "<script>" not in answer.text
    assert "&lt;script&gt;" in answer.text


def portal(shop: Shop, customer: str, **more: object) -> str:
    params = {"customer": customer, "return_url": "http://127.0.0.1:8000/billing/", **more}
    return shop.stripe.v1.billing_portal.sessions.create(params).url  # type: ignore[arg-type]  # built step by step


def test_the_portal_changes_cancels_and_resumes(shop: Shop) -> None:
    customer = shop.customer()
    made = shop.subscribe(customer)
    url = portal(shop, customer)
    assert "Candor Pro (per month)" in httpx.get(url).text
    assert "Your plan" in httpx.get(url, params={"view": "plans"}).text
    confirm = httpx.get(url, params={"view": "confirm", "price": DESK})
    assert "Due today" in confirm.text
    assert shop.post(url, action="change", price=DESK).status_code == 303
    assert shop.subscription(made).items.data[0].price.id == DESK
    assert shop.post(url, action="cancel").status_code == 303
    assert shop.subscription(made).cancel_at_period_end
    assert "Keep it after all" in httpx.get(url).text
    shop.post(url, action="resume")
    assert not shop.subscription(made).cancel_at_period_end
    assert shop.post(url, action="change", price="price_unknown").status_code == 422
    assert shop.post(url, action="explode").status_code == 400
    assert httpx.get(portal(shop, shop.customer(None))).status_code == 200


def test_the_portal_takes_another_card(shop: Shop) -> None:
    customer = shop.customer()
    shop.subscribe(customer)
    url = portal(shop, customer, flow_data={"type": "payment_method_update"})
    assert "Update the card" in httpx.get(url).text
    assert "declined" in shop.post(url, action="card", number="4000000000000002", expiry="12/40", cvc="123").text
    assert shop.post(url, action="card", number="5555555555554444", expiry="12/40", cvc="123").status_code == 303
    assert "Mastercard ending in 4444" in httpx.get(url).text


def test_flows_lead_to_their_step_and_back(shop: Shop) -> None:
    customer = shop.customer()
    made = shop.subscribe(customer)
    after = {"type": "redirect", "redirect": {"return_url": "http://127.0.0.1:8000/done"}}
    item = {"id": made.items.data[0].id, "price": PRO_YEAR, "quantity": 1}
    flow = {
        "type": "subscription_update_confirm",
        "subscription_update_confirm": {"subscription": made.id, "items": [item]},
        "after_completion": after,
    }
    url = portal(shop, customer, flow_data=flow)
    assert "Candor Pro (per year)" in httpx.get(url).text
    done = shop.post(url, action="change", price=PRO_YEAR)
    assert done.headers["location"] == "http://127.0.0.1:8000/done"
    for kind, words in (("subscription_cancel", "Cancel the subscription"), ("subscription_update", "Change the plan")):
        flow = {"type": kind, kind: {"subscription": made.id}}
        assert words in httpx.get(portal(shop, customer, flow_data=flow)).text
    with pytest.raises(library.InvalidRequestError):
        portal(shop, shop.customer(), flow_data=flow)


def test_an_invoice_is_shown_printed_and_paid(shop: Shop) -> None:
    customer = shop.customer()
    made = shop.subscribe(customer)
    shop.stripe.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer})
    bad = shop.stripe.v1.payment_methods.list({"customer": customer}).data[0].id
    shop.stripe.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": bad}})
    shop.sandbox.advance(32 * 86_400)
    invoice = shop.invoices(customer)[-1]
    url = invoice.hosted_invoice_url or ""
    assert "Pay $29.00" in httpx.get(url).text
    assert "not a tax document" in httpx.get(invoice.invoice_pdf or "").text
    assert shop.post(url, number="4000000000000002", expiry="12/40", cvc="123").status_code == 422
    assert shop.post(url, number="4242424242424242", expiry="12/40", cvc="123").status_code == 303
    assert "Paid on" in httpx.get(url).text
    assert shop.subscription(made).status == "active"
    assert shop.post(url, number="4242424242424242", expiry="12/40", cvc="123").status_code == 303


def test_the_clock_page_moves_time(sandbox: Sandbox, shop: Shop, listener: Listener) -> None:
    page = f"{sandbox.url}/sandbox/"
    assert "buy a plan" in httpx.get(page).text
    assert httpx.get(sandbox.url).headers["location"] == "/sandbox/"
    sandbox.listen_to(listener.url)
    customer = shop.customer()
    made = shop.subscribe(customer)
    clock = f"{sandbox.url}/sandbox/clock"
    for step in ("hour", "day", "week", "due", "period", "month"):
        before = sandbox.now()
        assert shop.post(clock, step=step).status_code == 303
        assert sandbox.now() >= before
    assert len(shop.invoices(customer)) == 3
    assert shop.subscription(made).status == "active"
    sandbox.settle()
    shown = httpx.get(page).text
    assert re.search(r"This is \d+ days and \d+ hours? ahead|This is \d+ days ahead", shown)
    assert listener.url in shown
    count = len(listener.bodies)
    event = shop.stripe.v1.events.list({"limit": 1}).data[0].id
    assert shop.post(f"{sandbox.url}/sandbox/resend", event=event).status_code == 303
    sandbox.settle()
    assert len(listener.bodies) == count + 1
    assert shop.post(clock, step="back").status_code == 400
