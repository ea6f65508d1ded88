"""What only looks changes nothing, and what changes something takes a token of ours (S10)."""

import re

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import User
from config.embedded import OWNER
from tests.accounts.identity.doing import Browser
from tests.database import connect
from tests.people import Person

pytestmark = pytest.mark.django_db(transaction=True)

WITHOUT_COOKIE = re.compile(r"^(api/|_allauth/app/|metrics)")
"""What no cookie opens, so that no other site can make a browser do it; the API's own tests say so of sessions."""


def addresses(patterns: list[URLPattern | URLResolver], before: str = "") -> list[str]:
    """Every address of the site; what stands for a row's id is some id."""
    found: list[str] = []
    for pattern in patterns:
        path = before + str(pattern.pattern).lstrip("^").rstrip("$")
        if isinstance(pattern, URLResolver):
            found += addresses(pattern.url_patterns, path)
        else:
            path = path.replace("\\Z", "").replace("(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)", "1-set-password")
            path = re.sub(r"\(\?P<\w+>\[-:\\w\]\+\)", "key", path)
            found.append(re.sub(r"<(?:(\w+):)?\w+>", lambda m: "1" if m[1] in (None, "int", "path") else "x", path))
    return sorted(set(found))


SITE = [path for path in addresses(get_resolver().url_patterns) if not WITHOUT_COOKIE.match(path)]


def test_the_site_is_listed() -> None:
    assert {"accounts/login/", "organization/rename/", "accounts/2fa/totp/activate/", "settings"} <= set(SITE)
    assert len(SITE) > 80


@pytest.mark.parametrize("name", ["owner", "operator", "visitor"])
def test_no_form_of_another_site_is_taken(name: str, request: pytest.FixtureRequest) -> None:
    person: Person = request.getfixturevalue(name)
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.cookies = person.client.cookies
    taken = {path: status for path in SITE if (status := client.post(f"/{path}").status_code) < 400}
    led_away = {path for path, status in taken.items() if status == 302}
    assert taken.keys() - led_away == set()
    for path in led_away:
        assert client.post(f"/{path}")["Location"].startswith(("/accounts/", "/console/login/")), path


def rows() -> dict[str, str]:
    """A digest of every table, whoever its rows belong to; sessions note their use, which is no change."""
    with connect(OWNER) as raw:
        raw.execute("SET app.operator = 'on'")
        names = raw.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
        kept = [name for (name,) in names if name != "django_session"]
        query = "SELECT coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)), '') FROM {} t"
        return {name: raw.execute(query.format(f'"{name}"')).fetchall()[0][0] for name in kept}


def test_looking_at_every_page_changes_no_row(ada: User, visitor: Person) -> None:
    EmailAddress.objects.create(user=ada, email=ada.email, verified=True, primary=True)
    browser = Browser(ada.email)
    browser.sign_in()
    before = rows()
    assert len(before) > 30
    for client in (browser.client, visitor.client):
        client.raise_request_exception = False
        for path in SITE:
            for method in (client.get, client.head):
                assert method(f"/{path}").status_code < 500, path
    after = rows()
    assert {name for name in before if before[name] != after[name]} == set()
