"""The operator's console: operators see every tenant there, nobody else sees anything."""

import re
from typing import Any

import pytest
from django.contrib import admin

from accounts.models import Membership
from tests.people import Person, lasting

PAGES = [model for model in admin.site._registry if model._meta.app_label == "accounts"]


@pytest.mark.parametrize("model", PAGES, ids=[model.__name__ for model in PAGES])
def test_an_operator_sees_the_rows_of_all_tenants(
    model: type[Membership], operator: Person, owner: Person, stranger: Person
) -> None:
    response = operator.client.get(f"/console/accounts/{model._meta.model_name}/")
    assert response.status_code == 200
    if model is Membership:
        page = response.content.decode()
        assert "Desk" in page
        assert "Elsewhere" in page


@pytest.mark.parametrize("name", ["owner", "readonly", "stranger", "visitor"])
def test_for_everybody_else_there_is_no_console(name: str, request: pytest.FixtureRequest) -> None:
    person: Person = request.getfixturevalue(name)
    for path in ("/console/", "/console", "/console/login/", "/console/accounts/user/", "/console/accounts/user"):
        nothing = person.client.get("/no-such-page/")
        answer = person.client.get(path)
        assert (answer.status_code, nothing.status_code) == (404, 404)
        assert same(answer) == same(nothing)


def same(response: Any) -> str:  # noqa: ANN401  # the test client's answer has no public type
    """The page without what differs between any two answers: nonce, form token, request id, its own address."""
    return re.sub(r"<code>\w+</code>", "", lasting(response.content))


RECORDS = ["auditentry", "acceptance", "membership", "invitation", "apikey", "tenantsecret", "dataexport"]


@pytest.mark.parametrize("model", [*RECORDS, "user", "organization"])
def test_records_are_only_looked_at(model: str, operator: Person) -> None:
    assert operator.client.get(f"/console/accounts/{model}/add/").status_code == 403
