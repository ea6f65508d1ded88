"""Products, prices, coupons and codes; customers, their tax ids, balance and cards."""

from typing import Any

import pytest
import stripe as library
from stripe import StripeClient

from tests.billing.sandbox.conftest import PRO, Shop


def test_products_and_prices(stripe: StripeClient) -> None:
    product = stripe.v1.products.create({"id": "prod_x", "name": "X", "description": "An x", "metadata": {"a": "b"}})
    assert stripe.v1.products.update("prod_x", {"name": "Y", "metadata": {"a": "", "c": "d"}}).name == "Y"
    assert stripe.v1.products.retrieve("prod_x").metadata.to_dict() == {"c": "d"}
    with pytest.raises(library.InvalidRequestError):
        stripe.v1.products.create({"id": "prod_x", "name": "X"})
    price = stripe.v1.prices.create(
        {
            "currency": "usd",
            "unit_amount": 500,
            "product": product.id,
            "recurring": {"interval": "week", "interval_count": 2},
            "currency_options": {"eur": {"unit_amount": 450}},
            "lookup_key": "x_week",
            "expand": ["currency_options"],
        }
    )
    assert price.currency_options is not None
    assert (price.unit_amount, price.currency_options["eur"].unit_amount) == (500, 450)
    assert price.recurring is not None
    assert (price.recurring.interval, price.recurring.interval_count) == ("week", 2)
    again: Any = {"currency": "usd", "unit_amount": 600, "product": product.id, "lookup_key": "x_week"}
    with pytest.raises(library.InvalidRequestError):
        stripe.v1.prices.create(again)
    again["transfer_lookup_key"] = True
    moved = stripe.v1.prices.create(again)
    assert [row.id for row in stripe.v1.prices.list({"lookup_keys": ["x_week"]}).data] == [moved.id]
    with pytest.raises(library.InvalidRequestError):
        stripe.v1.prices.update(price.id, {"lookup_key": "x_week"})
    changed = stripe.v1.prices.update(price.id, {"lookup_key": "x_week", "transfer_lookup_key": True, "active": False})
    assert (changed.lookup_key, changed.active) == ("x_week", False)
    assert stripe.v1.prices.retrieve(moved.id).lookup_key is None
    assert [row.id for row in stripe.v1.prices.list({"product": "prod_x", "active": False}).data] == [price.id]
    assert stripe.v1.prices.list({"recurring": {"interval": "week"}}).data[0].id == price.id
    with pytest.raises(library.InvalidRequestError):
        stripe.v1.products.delete("prod_x")
    bare = stripe.v1.products.create({"name": "Bare"}).id
    assert stripe.v1.products.delete(bare).deleted
    named = stripe.v1.prices.create({"currency": "usd", "unit_amount": 1, "product_data": {"name": "New"}})
    assert stripe.v1.products.retrieve(str(named.product)).name == "New"
    assert {row.name for row in stripe.v1.products.list({"active": True}).data} >= {"Y", "New"}
    assert [row.id for row in stripe.v1.products.list({"ids": ["prod_x"]}).data] == ["prod_x"]
    assert stripe.v1.products.search({"query": "name~'new'"}).data
    assert stripe.v1.prices.search({"query": "product:'prod_x' AND active:'false'"}).data[0].id == price.id


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"percent_off": 120},
        {"percent_off": 10, "amount_off": 5},
        {"amount_off": 5},
        {"percent_off": 10, "duration": "repeating"},
        {"percent_off": 10, "duration_in_months": 3},
        {"percent_off": 10, "id": "welcome20"},
    ],
)
def test_coupons_that_make_no_sense(stripe: StripeClient, params: Any) -> None:  # noqa: ANN401  # a table of wrong ones
    with pytest.raises(library.InvalidRequestError):
        stripe.v1.coupons.create(params)


def test_codes_end_and_run_out(shop: Shop) -> None:
    coupons, codes = shop.stripe.v1.coupons, shop.stripe.v1.promotion_codes
    coupon = coupons.create({"percent_off": 50, "duration": "forever", "name": "Half"})
    assert coupons.retrieve(coupon.id).percent_off == 50
    one = codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "ONE", "max_redemptions": 1})
    assert codes.retrieve(one.id, {"expand": ["promotion.coupon"]}).to_dict()["promotion"]["coupon"]["name"] == "Half"
    with pytest.raises(library.InvalidRequestError):
        codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "one"})
    first, second = shop.checkout(allow_promotion_codes=True), shop.checkout(allow_promotion_codes=True)
    shop.post(first.url or "", action="code", code="one")
    assert shop.pay(first.url or "", email="a@example.com").status_code == 303
    assert "not valid" in shop.post(second.url or "", action="code", code="ONE").text
    assert codes.retrieve(one.id).times_redeemed == 1
    assert not codes.update(one.id, {"active": False}).active
    with pytest.raises(library.InvalidRequestError):
        shop.subscribe(shop.customer(), discounts=[{"promotion_code": one.id}])
    with pytest.raises(library.InvalidRequestError):
        shop.checkout(discounts=[{"promotion_code": one.id}])
    assert codes.list({"coupon": coupon.id, "active": False}).data[0].id == one.id
    assert coupons.delete(coupon.id).deleted
    assert coupon.id not in [row.id for row in coupons.list().data]


def test_discounts_and_code_fields_exclude_each_other(shop: Shop) -> None:
    code = shop.stripe.v1.promotion_codes.list().data[0].id
    session = shop.checkout(discounts=[{"promotion_code": code}])
    assert session.amount_total == 2320
    assert shop.checkout(discounts=[{"coupon": "welcome20"}]).amount_total == 2320
    assert shop.post(session.url or "", action="code", code="WELCOME20").status_code == 422
    table: tuple[dict[str, Any], ...] = (
        {"discounts": [{"promotion_code": code}], "allow_promotion_codes": True},
        {"mode": "payment"},
        {"line_items": []},
        {"expires_at": 1},
        {"customer": shop.customer(), "customer_email": "a@example.com"},
        {"subscription_data": {"trial_period_days": 3, "trial_end": 9_999_999_999}},
        {"customer": shop.customer(None, name=""), "tax_id_collection": {"enabled": True}},
    )
    for wrong in table:
        with pytest.raises(library.InvalidRequestError):
            shop.checkout(**wrong)


def test_sessions_are_listed_with_their_lines(shop: Shop) -> None:
    customer = shop.customer()
    session = shop.checkout(customer=customer, line_items=[{"price": PRO, "quantity": 3}])
    sessions = shop.stripe.v1.checkout.sessions
    assert sessions.list({"customer": customer, "status": "open"}).data[0].id == session.id
    (line,) = sessions.line_items.list(session.id).data
    assert (line.quantity, line.amount_total, line.description) == (3, 8700, "Candor Pro (per month)")


def test_customers_are_changed_field_by_field(shop: Shop) -> None:
    customers = shop.stripe.v1.customers
    made = customers.create(
        {
            "email": "a@example.com",
            "address": {"country": "DE", "city": "Bonn"},
            "tax_id_data": [{"type": "eu_vat", "value": "DE123456789"}],
            "metadata": {"organization": "1"},
        }
    )
    changed = customers.update(made.id, {"name": "A", "email": "", "metadata": {"more": "x"}, "balance": -500})
    assert (changed.name, changed.email, changed.balance) == ("A", None, -500)
    assert changed.metadata is not None
    assert changed.metadata.to_dict() == {"organization": "1", "more": "x"}
    assert changed.address is not None
    assert changed.address.city == "Bonn"
    update = shop.stripe.v1.events.list({"type": "customer.updated"}).data[0].to_dict()
    assert update["data"]["previous_attributes"]["email"] == "a@example.com"
    assert customers.list({"email": "nobody@example.com"}).data == []
    taxes = customers.tax_ids
    with pytest.raises(library.InvalidRequestError) as wrong:
        taxes.create(made.id, {"type": "gb_vat", "value": "12"})
    assert wrong.value.code == "tax_id_invalid"
    with pytest.raises(library.InvalidRequestError):
        taxes.create(made.id, {"type": "zw_tin", "value": "12"})
    (tax,) = taxes.list(made.id).data
    assert taxes.retrieve(made.id, tax.id).value == "DE123456789"
    assert taxes.delete(made.id, tax.id).deleted
    full = customers.retrieve(made.id, {"expand": ["tax_ids", "subscriptions"]})
    assert full.tax_ids is not None
    assert full.tax_ids.data == []
    moves = customers.balance_transactions
    assert moves.create(made.id, {"amount": 200, "currency": "usd"}).ending_balance == -300
    assert [row.amount for row in moves.list(made.id).data] == [200, -500]


def test_cards_are_attached_and_taken_away(shop: Shop) -> None:
    customer, methods = shop.customer(None), shop.stripe.v1.payment_methods
    card: Any = {"number": "4242424242424242", "exp_month": 1, "exp_year": 2041, "cvc": "123"}
    unlisted: Any = {**card, "number": "4111111111111111"}
    made = methods.create({"type": "card", "card": card, "billing_details": {"name": "Ada"}})
    assert "number" not in made.to_dict()["card"]
    assert made.card is not None
    assert (made.card.last4, made.card.exp_year) == ("4242", 2041)
    methods.attach(made.id, {"customer": customer})
    methods.attach(made.id, {"customer": customer})
    with pytest.raises(library.InvalidRequestError):
        methods.attach(made.id, {"customer": shop.customer(None)})
    with pytest.raises(library.CardError):
        methods.attach("pm_card_chargeDeclined", {"customer": customer})
    with pytest.raises(library.CardError):
        methods.create({"type": "card", "card": unlisted})
    with pytest.raises(library.CardError):
        shop.customer("pm_card_chargeDeclined")
    settings: Any = {"invoice_settings": {"default_payment_method": made.id}}
    shop.stripe.v1.customers.update(customer, settings)
    subscription = shop.subscribe(customer, default_payment_method=made.id)
    assert [row.id for row in methods.list({"customer": customer, "type": "card"}).data] == [made.id]
    assert [row.id for row in shop.stripe.v1.customers.payment_methods.list(customer).data] == [made.id]
    assert methods.detach(made.id).customer is None
    assert shop.subscription(subscription).default_payment_method is None
    with pytest.raises(library.InvalidRequestError):
        methods.detach(made.id)
    with pytest.raises(library.InvalidRequestError):
        shop.stripe.v1.customers.update(customer, settings)
    with pytest.raises(library.InvalidRequestError):
        shop.subscribe(customer, default_payment_method=made.id)
    assert methods.retrieve(made.id).customer is None


def test_portal_configurations_rule_the_portal(shop: Shop) -> None:
    configurations = shop.stripe.v1.billing_portal.configurations
    made = configurations.create(
        {
            "business_profile": {"headline": "Candor"},
            "features": {
                "subscription_cancel": {"enabled": True, "mode": "immediately"},
                "subscription_update": {
                    "enabled": True,
                    "default_allowed_updates": ["price"],
                    "products": [{"product": "prod_candor_pro", "prices": [PRO]}],
                    "proration_behavior": "none",
                },
            },
            "metadata": {"kept": "yes"},
        }
    )
    assert configurations.retrieve(made.id).features.subscription_cancel.mode == "immediately"
    changed = configurations.update(made.id, {"default_return_url": "http://127.0.0.1:8000/"})
    assert (changed.features.subscription_update.proration_behavior, changed.default_return_url) == (
        "none",
        "http://127.0.0.1:8000/",
    )
    assert [row.is_default for row in configurations.list({"is_default": True}).data] == [True]
    customer = shop.customer()
    subscription = shop.subscribe(customer)
    session = shop.stripe.v1.billing_portal.sessions.create({"customer": customer, "configuration": made.id})
    assert session.return_url == "http://127.0.0.1:8000/"
    shop.post(session.url, action="cancel")
    assert shop.subscription(subscription).status == "canceled"
    flow: Any = {"type": "subscription_cancel", "subscription_cancel": {"subscription": subscription.id}}
    with pytest.raises(library.InvalidRequestError):
        shop.stripe.v1.billing_portal.sessions.create({"customer": customer, "flow_data": flow})
