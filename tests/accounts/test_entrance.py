"""Signing up, in and out, lost passwords, and what a stranger learns on the way (security rows S4 to S6, S8)."""

import re
from collections.abc import Iterator

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import identify_hasher, make_password
from django.core import mail
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from accounts.access import memberships_of
from accounts.audit import operator_work
from accounts.models import AuditEntry, Membership, Organization, Role, User
from accounts.scoping import acting_as
from tests.factories import PASSWORD, make_user
from tests.people import Person, lasting
from tests.smtp_sink import SmtpSink

pytestmark = pytest.mark.django_db(transaction=True)

SIGN_UP = {"email": "Ada@Lovelace.example", "password1": "analytical engine", "password2": "analytical engine"}


@pytest.fixture(autouse=True)
def fresh_limits() -> Iterator[None]:
    """Rate limits live in the cache, which outlives a test."""
    cache.clear()
    yield
    cache.clear()


def sign_up(client: Client, **changes: str) -> int:
    return client.post("/accounts/signup/", SIGN_UP | changes).status_code


def test_sign_up_founds_an_organization() -> None:
    client = Client()
    assert sign_up(client) == 302
    user = User.objects.get()
    assert user.email == "ada@lovelace.example"
    with acting_as(user.pk):
        membership = memberships_of(user).get()
    assert (membership.role, membership.organization.plan) == (Role.OWNER, "free")
    assert membership.organization.name == "ada's organization"
    assert b"ada&#x27;s organization" in client.get("/organization/").content


def test_a_sign_up_is_all_or_nothing(settings: Settings) -> None:
    """An organization that cannot be founded takes the user with it."""
    settings.DEFAULT_PLAN = "gold"  # is none
    client = Client(raise_request_exception=False)
    assert sign_up(client) == 500
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"password1": "short", "password2": "short"},
        {"password1": "password123", "password2": "password123"},
        {"password2": "something else"},
        {"email": "no address"},
    ],
)
def test_a_weak_sign_up_is_explained_and_kept(changes: dict[str, str]) -> None:
    response = Client().post("/accounts/signup/", SIGN_UP | changes)
    page = response.content.decode()
    assert "form-errors" in page
    assert (SIGN_UP | changes)["email"] in page
    assert not User.objects.exists()


def test_a_long_password_needs_no_composition() -> None:
    assert sign_up(Client(), password1="x y " * 20, password2="x y " * 20) == 302


def test_passwords_are_argon2id_and_rehashed_when_parameters_rise(settings: Settings) -> None:
    user = make_user("ada@lovelace.example")
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.Argon2PasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    assert identify_hasher(make_password("x")).algorithm == "argon2"
    assert "$argon2id$" in make_password("x")
    assert user.password.startswith("md5$")
    assert Client().login(email=user.email, password=PASSWORD)
    user.refresh_from_db()
    assert user.password.startswith("argon2$argon2id$")


def test_production_hashes_with_argon2_first() -> None:
    from config.settings import base

    assert base.PASSWORD_HASHERS[0].endswith("Argon2PasswordHasher")


def sign_in(client: Client, email: str, password: str) -> str:
    """The page after a sign-in, without what differs by design: the address typed and the CSRF token."""
    response = client.post("/accounts/login/", {"login": email, "password": password})
    page = lasting(response.content) if response.status_code != 302 else f"went to {response['Location']}"
    return page.replace(email, "ADDRESS")


def test_sign_in_in_any_case_and_out() -> None:
    user = make_user("ada@lovelace.example")
    client = Client()
    assert sign_in(client, "ADA@lovelace.EXAMPLE", PASSWORD) == "went to /"
    assert client.session["_auth_user_id"] == str(user.pk)
    assert client.get("/accounts/logout/").status_code == 200  # a GET ends nothing
    assert "_auth_user_id" in client.session
    assert client.post("/accounts/logout/").status_code == 302
    assert "_auth_user_id" not in client.session


def test_a_session_gets_a_new_key_at_sign_in() -> None:
    make_user("ada@lovelace.example")
    client = Client()
    session = client.session
    session["planted"] = "by somebody else"
    session.save()
    planted = str(session.session_key)
    client.cookies["sessionid"] = planted
    sign_in(client, "ada@lovelace.example", PASSWORD)
    assert client.session.session_key != planted
    attacker = Client()
    attacker.cookies["sessionid"] = planted
    assert attacker.get("/organization/").status_code == 302


def test_unknown_and_wrong_look_the_same() -> None:
    make_user("ada@lovelace.example")
    wrong = sign_in(Client(), "ada@lovelace.example", "not the password")
    unknown = sign_in(Client(), "eve@lovelace.example", "not the password")
    assert wrong == unknown
    assert "form-errors" in wrong


def test_a_disabled_user_is_out_at_once(owner: Person) -> None:
    User.objects.filter(pk=owner.user.pk).update(is_active=False)
    assert owner.client.get("/organization/").status_code == 302


def test_guessing_is_limited() -> None:
    user = make_user("ada@lovelace.example")
    for _ in range(5):
        sign_in(Client(), user.email, "a guess too many")
    assert sign_in(Client(), user.email, PASSWORD) != "went to /"


def test_operators_have_no_door_of_their_own(operator: Person, visitor: Person) -> None:
    """One sign-in page, so one rate limit; before it there is no console."""
    response = visitor.client.post("/console/login/", {"username": operator.user.email, "password": "x"})
    assert response.status_code == 404


def test_sign_up_with_a_known_address_tells_nothing(settings: Settings) -> None:
    """Where addresses are confirmed before the first sign-in; else the sign-up itself signs in, which tells."""
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    known = make_user("ada@lovelace.example")
    EmailAddress.objects.create(user=known, email=known.email, verified=True, primary=True)
    first = Client().post("/accounts/signup/", SIGN_UP)
    second = Client().post("/accounts/signup/", SIGN_UP | {"email": "new@lovelace.example"})
    assert (first.status_code, first["Location"]) == (second.status_code, second["Location"])
    assert [message.subject for message in mail.outbox] == [
        "Candor: You have an account already",
        "Candor: Confirm your address",
    ]


# ---- mail, over a real socket


def link_in(sink: SmtpSink, pattern: str) -> str:
    message = sink.messages[-1]
    found = re.search(pattern, message.get_payload(decode=True).decode())  # type: ignore[union-attr]  # one text part
    assert found is not None
    return found[0].replace("http://testserver", "")


def test_a_lost_password(sink: SmtpSink) -> None:
    user = make_user("ada@lovelace.example")
    other_browser = Client()
    other_browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    client = Client()
    assert client.post("/accounts/password/reset/", {"email": user.email}).status_code == 302
    assert sink.messages[-1]["To"] == user.email
    assert sink.messages[-1]["Subject"] == "Candor: Your new password"
    link = link_in(sink, r"http://testserver/accounts/password/reset/key/\S+")
    form = client.get(link, follow=True)
    target = form.redirect_chain[-1][0]
    new = {"password1": "difference engine", "password2": "difference engine"}
    assert b"form-errors" in client.post(target, new | {"password2": "x"}).content
    assert client.post(target, new).status_code == 302
    assert sign_in(Client(), user.email, "difference engine") == "went to /"
    assert sign_in(Client(), user.email, PASSWORD) != "went to /"
    assert other_browser.get("/organization/").status_code == 302  # its session ended with the old password
    assert b"used before" in Client().get(link, follow=True).content
    with operator_work("test", "read the log"):
        assert AuditEntry.objects.filter(action="password.changed", user=user).count() == 1


def test_a_lost_password_of_nobody_looks_the_same(sink: SmtpSink) -> None:
    make_user("ada@lovelace.example")
    answers = [
        Client().post("/accounts/password/reset/", {"email": email}, follow=True)
        for email in ("ada@lovelace.example", "eve@lovelace.example")
    ]
    assert answers[0].redirect_chain == answers[1].redirect_chain
    assert lasting(answers[0].content) == lasting(answers[1].content)
    assert sink.messages[-1]["To"] == "eve@lovelace.example"
    assert "no account has this address" in str(sink.messages[-1].get_payload())


def test_an_address_is_confirmed(sink: SmtpSink) -> None:
    client = Client()
    sign_up(client)
    link = link_in(sink, r"http://testserver/accounts/confirm-email/\S+")
    assert b"Is ada@lovelace.example yours?" in client.get(link).content
    assert not EmailAddress.objects.get().verified  # looking confirms nothing
    client.post(link)
    assert EmailAddress.objects.get().verified


def test_a_mail_server_that_is_down_does_not_break_the_page(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    assert sign_up(Client()) == 302
    assert User.objects.exists()


def test_the_other_pages_are_ours(owner: Person) -> None:
    for page in ("password/change/", "email/", "reauthenticate/", "logout/"):
        response = owner.client.get(f"/accounts/{page}")
        assert response.status_code == 200, page
        assert b'class="title"' in response.content, page
    for page in ("inactive/", "confirm-email/", "password/reset/done/", "password/reset/key/done/"):
        response = Client().get(f"/accounts/{page}")
        assert response.status_code == 200, page
        assert b'class="title"' in response.content, page


def test_a_changed_password_ends_other_sessions(owner: Person) -> None:
    elsewhere = Client()
    elsewhere.force_login(owner.user, backend="django.contrib.auth.backends.ModelBackend")
    data = {"oldpassword": PASSWORD, "password1": "difference engine", "password2": "difference engine"}
    assert owner.client.post("/accounts/password/change/", data).status_code == 302
    assert owner.client.get("/organization/").status_code == 200
    assert elsewhere.get("/organization/").status_code == 302


def test_nobody_is_left_without_an_owner() -> None:
    sign_up(Client())
    with operator_work("test", "count"):
        for organization in Organization.objects.all():
            assert Membership.objects.filter(organization=organization, role=Role.OWNER).exists()


def test_a_sign_in_is_written_down(owner: Person, newcomer: Person) -> None:
    with operator_work("test", "read the log"):
        began = AuditEntry.objects.filter(action="session.began").values_list("user", flat=True)
        assert set(began) == {owner.user.pk, newcomer.user.pk}
