"""What leaks out of the platform by accident: errors (S27), logs (S28), caches (S33)."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
import structlog
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, get_resolver
from pytest_django import Settings

from accounts import checks
from accounts.demo import create_demo
from accounts.models import User
from config import logs
from tests.accounts.tenancy.faulty_urls import FAULTS, SECRET
from tests.factories import PASSWORD
from tests.people import Person

pytestmark = pytest.mark.django_db

# ---- errors


WORDED = {"denied", "absent"}
"""What these say is written for the caller, and the API hands it on."""


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("root", ["/faulty/", "/api/v1/faulty/"])
@pytest.mark.parametrize("name", ["owner", "visitor"])
@pytest.mark.urls("tests.accounts.tenancy.faulty_urls")
def test_an_error_has_an_id_and_tells_nothing(
    fault: str, root: str, name: str, request: pytest.FixtureRequest, settings: Settings
) -> None:
    client: Client = request.getfixturevalue(name).client
    client.raise_request_exception = False
    response = client.get(f"{root}{fault}/", headers={"X-Request-ID": "fault-12345678"})
    assert response.status_code == FAULTS[fault][1]
    text = response.content.decode()
    assert "fault-12345678" in text
    worded = root.startswith("/api/") and fault in WORDED
    told = (
        "" if worded else SECRET,
        "Traceback",
        "Error(",
        FAULTS[fault][0].__name__,
        "/site-packages/",
        "views.py",
        "no_such_column",
    )
    for word in (*told, settings.SECRET_KEY, "SELECT", "settings."):
        assert not word or word not in text
    if root.startswith("/api/"):
        assert set(response.json()) == {"detail", "request_id"}


@pytest.mark.parametrize("path", ["/no-such-page/", "/api/v1/no-such-route/"])
def test_what_is_absent_has_an_id_too(path: str, visitor: Person) -> None:
    response = visitor.client.get(path, headers={"X-Request-ID": "fault-12345678"})
    assert (response.status_code, "fault-12345678" in response.content.decode()) == (404, True)


# ---- logs

CANARIES = {
    "password": "canary-password-1234",
    "bearer": "canary.bearer.token-5678",
    "api key": "ck_canary90123456",
    "stripe key": "sk_live_canary789",
    "stripe signing secret": "whsec_canary4321",
    "invitation": "canary-invitation-token",
    "reset": "canary-reset-key",
    "database": "canary-database-password",
    "setting": "canary-setting-value-abcdef",
}


@pytest.fixture
def lines(settings: Settings) -> Iterator[io.StringIO]:
    """All that is logged, at every level, through the installation's own formatter."""
    settings.SECRET_KEY = CANARIES["setting"] + "x" * 40
    settings.METRICS_TOKEN = CANARIES["setting"]
    logs._own_secrets.cache_clear()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure({"json": True, "level": "DEBUG"})
    out = io.StringIO()
    (handler,) = [each for each in root.handlers if isinstance(each, logging.StreamHandler)][:1]
    handler.setStream(out)
    for name in ("django.db.backends", "asyncio"):
        logging.getLogger(name).setLevel(logging.INFO)
    yield out
    root.handlers[:] = handlers
    root.setLevel(level)
    logs._own_secrets.cache_clear()


@pytest.mark.urls("tests.accounts.tenancy.faulty_urls")
def test_no_planted_secret_reaches_a_line(lines: io.StringIO, owner: Person, visitor: Person) -> None:
    client = visitor.client
    client.raise_request_exception = False
    client.post("/accounts/login/", {"login": owner.user.email, "password": CANARIES["password"]})
    owner.client.post("/accounts/reauthenticate/", {"password": CANARIES["password"]})
    for token in ("bearer", "api key", "stripe key"):
        headers = {"Authorization": f"Bearer {CANARIES[token]}", "Stripe-Signature": CANARIES["stripe signing secret"]}
        client.get("/api/v1/me", headers=headers)
        client.get("/api/v1/no-such-route/", headers=headers)
        client.get("/api/v1/faulty/value/", headers=headers)
    owner.client.get(f"/invitation/{CANARIES['invitation']}/")
    client.get(f"/accounts/password/reset/key/1-{CANARIES['reset']}/")
    log = structlog.get_logger("candor.test")
    log.warning("login", password=CANARIES["password"], facts={"api_key": CANARIES["api key"], "n": [1, "x"]})
    log.warning("a call failed", error=f"401 for {CANARIES['stripe key']} with {CANARIES['stripe signing secret']}")
    log.warning("no database", url=f"postgresql://app:{CANARIES['database']}@db/candor?password={CANARIES['database']}")
    logging.getLogger("library").error("header was: Authorization: Bearer %s", CANARIES["bearer"])
    try:
        int(f"{CANARIES['setting']} or {CANARIES['api key']}")
    except ValueError:
        logging.getLogger("library").exception("it broke")
    text = lines.getvalue()
    assert text.count("\n") > 10
    for what, canary in CANARIES.items():
        assert canary not in text, (what, [line for line in text.splitlines() if canary in line])
    assert PASSWORD not in text
    assert logs.REDACTED in text


def test_ordinary_words_stay(lines: io.StringIO) -> None:
    structlog.get_logger("candor.test").warning("minute_decided", symbol="BTC/USDT", path="/history", rounds=8)
    line = json.loads(lines.getvalue())
    assert (line["event"], line["symbol"], line["path"], line["rounds"]) == (
        "minute_decided",
        "BTC/USDT",
        "/history",
        8,
    )


# ---- caches


class SharedCache:
    """The greediest cache that RFC 9111 allows: keeps whatever no header forbids, by address and Vary."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], bytes] = {}

    def get(self, client: Client, path: str, cookie: str) -> tuple[bytes, HttpResponse]:
        found = self.kept.get((path, "")) or self.kept.get((path, cookie))
        if found is not None:
            return found, HttpResponse(found)
        response = client.get(path)
        body = b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]  # the test client's
        if not re.search("no-store|private", response.get("Cache-Control", "")):
            varies = "cookie" in response.get("Vary", "").lower()
            self.kept[path, cookie if varies else ""] = body
        return body, response  # type: ignore[return-value]  # the test client's


def plain_paths() -> list[str]:
    """Every address without a parameter that a GET may open."""
    found = []
    for pattern in get_resolver().url_patterns:
        parts = getattr(pattern, "url_patterns", [pattern])
        for part in parts:
            whole = str(part.pattern) if part is pattern else f"{pattern.pattern}{part.pattern}"
            if isinstance(part, URLPattern) and not re.search(r"[<(\\^]", whole):
                found.append(f"/{whole}")
    return sorted(set(found) - {"/metrics"})


def test_two_tenants_never_mix_in_a_cache(owner: Person, stranger: Person) -> None:
    cache, seen = SharedCache(), 0
    for path in plain_paths():
        for person, other in ((owner, stranger), (stranger, owner)):
            body, response = cache.get(person.client, path, person.user.email)
            assert other.user.email.encode() not in body, path
            assert re.search("no-store", response.get("Cache-Control", "")), path
            seen += 1
    assert seen > 30
    assert cache.kept == {}


def test_after_signing_out_nothing_private_is_kept(owner: Person) -> None:
    owner.client.get("/organization/")
    owner.client.post("/accounts/logout/")
    assert owner.client.get("/organization/").status_code == 302


# ---- accounts that everybody knows


def test_demo_accounts_are_found_on_a_server(settings: Settings) -> None:
    assert checks.no_demo_accounts() == []
    create_demo({"demo@candor.local": "x" * 12, "operator@candor.local": "y" * 12})
    assert [message.id for message in checks.no_demo_accounts()] == ["candor.W011", "candor.W011"]
    User.objects.update(is_active=False)
    assert checks.no_demo_accounts() == []
    User.objects.update(is_active=True)
    settings.DEMO_ACCOUNTS = True
    assert checks.no_demo_accounts() == []
