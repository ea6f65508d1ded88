"""The door: keys, envelopes, idempotency, pages of lists, expansion."""

from typing import Any

import httpx
import pytest
import stripe as library
from stripe import StripeClient

from billing.sandbox.refusals import Refused
from billing.sandbox.server import Sandbox
from billing.sandbox.wire import Params, parse_form
from tests.billing.sandbox.conftest import PRO, Shop, client_of


def test_a_wrong_key_is_refused_and_not_repeated(sandbox: Sandbox) -> None:
    wrong = "sk_test_this_is_not_the_key_of_anybody"
    with pytest.raises(library.AuthenticationError) as refused:
        client_of(sandbox, wrong).v1.customers.list()
    assert refused.value.http_status == 401
    assert wrong not in str(refused.value)
    assert httpx.get(f"{sandbox.url}/v1/customers").status_code == 401
    assert httpx.get(f"{sandbox.url}/v1/account", auth=(sandbox.key, "")).json()["object"] == "account"


def test_answers_carry_request_id_and_version(sandbox: Sandbox, stripe: StripeClient) -> None:
    answer = httpx.get(f"{sandbox.url}/v1/prices", headers={"Authorization": f"Bearer {sandbox.key}"})
    assert answer.headers["request-id"].startswith("req_")
    assert answer.headers["stripe-version"] == "2026-10-28.endive"
    other = {"Authorization": f"Bearer {sandbox.key}", "Stripe-Version": "2019-01-01"}
    assert httpx.get(f"{sandbox.url}/v1/prices", headers=other).status_code == 400
    with pytest.raises(library.InvalidRequestError) as absent:
        stripe.v1.customers.retrieve("cus_nobody")
    assert (absent.value.http_status, absent.value.code, absent.value.param) == (404, "resource_missing", "id")
    assert absent.value.request_id


def test_unknown_addresses_and_parameters_are_refused(sandbox: Sandbox, stripe: StripeClient) -> None:
    lost = httpx.get(f"{sandbox.url}/v1/charges", headers={"Authorization": f"Bearer {sandbox.key}"})
    assert (lost.status_code, lost.json()["error"]["type"]) == (404, "invalid_request_error")
    misspelt: Any = {"address": {"town": "London"}}
    with pytest.raises(library.InvalidRequestError) as unknown:
        stripe.v1.customers.create(misspelt)
    assert (unknown.value.code, unknown.value.param) == ("parameter_unknown", "address[town]")


def test_one_key_is_one_act(stripe: StripeClient) -> None:
    first = stripe.v1.customers.create({"email": "a@example.com"}, {"idempotency_key": "k1"})
    again = stripe.v1.customers.create({"email": "a@example.com"}, {"idempotency_key": "k1"})
    assert first.id == again.id
    assert again.last_response is not None
    assert again.last_response.headers["idempotent-replayed"] == "true"
    assert len(stripe.v1.customers.list().data) == 1
    with pytest.raises(library.IdempotencyError) as other:
        stripe.v1.customers.create({"email": "b@example.com"}, {"idempotency_key": "k1"})
    assert other.value.http_status == 400
    with pytest.raises(library.InvalidRequestError):
        stripe.v1.customers.create({"email": "no address"}, {"idempotency_key": "k2"})
    assert stripe.v1.customers.create({"email": "c@example.com"}, {"idempotency_key": "k2"}).id  # a refusal is not kept


def test_a_declined_charge_is_kept_under_its_key(shop: Shop) -> None:
    customer = shop.customer("pm_card_chargeCustomerFail")
    for _ in range(2):
        with pytest.raises(library.CardError) as declined:
            shop.stripe.v1.subscriptions.create(
                {"customer": customer, "items": [{"price": PRO}], "payment_behavior": "error_if_incomplete"},
                {"idempotency_key": "pay"},
            )
        assert declined.value.http_status == 402
        assert declined.value.code == "card_declined"
    assert shop.stripe.v1.subscriptions.list({"customer": customer, "status": "all"}).data == []


def test_lists_come_in_pages_newest_first(stripe: StripeClient) -> None:
    made = [stripe.v1.customers.create({"name": str(number)}).id for number in range(7)]
    first = stripe.v1.customers.list({"limit": 3})
    assert [row.id for row in first.data] == made[:3:-1]
    assert first.has_more
    rest = stripe.v1.customers.list({"limit": 100, "starting_after": first.data[-1].id})
    assert [row.id for row in rest.data] == made[3::-1]
    assert not rest.has_more
    back = stripe.v1.customers.list({"limit": 2, "ending_before": rest.data[0].id})
    assert [row.id for row in back.data] == [made[5], made[4]]
    assert back.has_more
    assert [row.id for row in stripe.v1.customers.list({"limit": 2}).auto_paging_iter()] == made[::-1]
    with pytest.raises(library.InvalidRequestError):
        stripe.v1.customers.list({"limit": 101})
    with pytest.raises(library.InvalidRequestError):
        stripe.v1.customers.list({"starting_after": "cus_nobody"})
    now = stripe.v1.customers.retrieve(made[0]).created
    assert stripe.v1.customers.list({"created": {"gt": now + 60}}).data == []


def test_search_finds_by_metadata(stripe: StripeClient) -> None:
    made = stripe.v1.customers.create({"email": "x@example.com", "metadata": {"organization": "o-1"}})
    stripe.v1.customers.create({"email": "y@example.com", "metadata": {"organization": "o-2"}})
    found = stripe.v1.customers.search({"query": "metadata['organization']:'o-1' AND email:'x@example.com'"})
    assert [row.id for row in found.data] == [made.id]
    assert found.to_dict()["object"] == "search_result"
    with pytest.raises(library.InvalidRequestError):
        stripe.v1.customers.search({"query": "organization is o-1"})


def test_expansion_replaces_names_by_rows(shop: Shop) -> None:
    customer = shop.customer()
    made = shop.subscribe(customer, expand=["latest_invoice.payments", "customer", "items.data.price.product"])
    found = made.to_dict()
    assert found["customer"]["email"] == "ada@example.com"
    assert found["latest_invoice"]["payments"]["data"][0]["status"] == "paid"
    assert found["items"]["data"][0]["price"]["product"]["name"] == "Candor Pro"
    price = shop.stripe.v1.prices.retrieve(PRO, {"expand": ["currency_options", "product"]})
    assert price.currency_options is not None
    assert price.currency_options["eur"].unit_amount == 2700
    assert "currency_options" not in shop.stripe.v1.prices.retrieve(PRO).to_dict()
    with pytest.raises(library.InvalidRequestError):
        shop.stripe.v1.prices.retrieve(PRO, {"expand": ["nickname.nothing"]})
    with pytest.raises(library.InvalidRequestError):
        shop.stripe.v1.prices.retrieve(PRO, {"expand": ["a.b.c.d.e"]})


def test_forms_nest() -> None:
    assert parse_form("a[0][b]=1&a[1][b]=2&m[k]=v&e[]=x&e[]=y&t=") == {
        "a": [{"b": "1"}, {"b": "2"}],
        "m": {"k": "v"},
        "e": ["x", "y"],
        "t": "",
    }


@pytest.mark.parametrize(
    ("body", "read"),
    [("n=x", "whole"), ("n=1.5", "whole"), ("n=maybe", "flag"), ("n=a.b", "number"), ("n[a]=1", "text")],
)
def test_wrong_kinds_are_refused_by_name(body: str, read: str) -> None:
    with pytest.raises(Refused, match="Invalid") as refused:
        getattr(Params(parse_form(body)), read)("n")
    assert refused.value.param == "n"
