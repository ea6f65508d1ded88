"""Tokens: got, refreshed, used on all of the API under the same fence, and gone with their session (AP-01 to AP-04)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.headless.tokens.strategies.jwt import internal as tokens
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.test import Client
from pytest_django import Settings

from accounts.access import SESSION_ORGANIZATION
from accounts.identity.requiring import require_mfa
from accounts.models import Organization, User
from accounts.scoping import scope_to
from lib.clock import wall_now
from tests.accounts.identity.doing import code_of, signed_in
from tests.factories import PASSWORD, give_totp, join
from tests.people import Person

Answer = Any
"""The test client's response; its own type is private."""

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = "/api/v1/auth/"
NEW = {"email": "Grace@hopper.example", "password": "analytical engine"}


def post(step: str, facts: dict[str, Any], **extra: Any) -> Answer:
    """One call of a program that keeps no cookies and knows no CSRF token."""
    return Client(enforce_csrf_checks=True).post(ROOT + step, facts, content_type="application/json", **extra)


def login(user: User, **extra: str) -> dict[str, Any]:
    answer = post("login", {"email": user.email, "password": PASSWORD, **extra})
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def get(path: str, token: str, client: Client | None = None) -> Answer:
    return (client or Client()).get(path, headers={"Authorization": f"Bearer {token}"})


def test_sign_in_look_refresh(ada: User) -> None:
    pair = login(ada)
    assert (pair["token_type"], pair["expires_in"]) == ("Bearer", 300)
    me = get(ROOT + "me", pair["access_token"]).json()
    assert (me["email"], me["role"], me["signed_in"], me["mfa"]) == (ada.email, "owner", True, False)
    newer = post("refresh", {"refresh_token": pair["refresh_token"]}).json()
    assert newer["refresh_token"] != pair["refresh_token"]
    assert get(ROOT + "me", newer["access_token"]).status_code == 200


def test_no_answer_sets_a_cookie(ada: User) -> None:
    answer = post("login", {"email": ada.email, "password": PASSWORD})
    seen = get(ROOT + "me", answer.json()["access_token"])
    assert not answer.cookies
    assert not seen.cookies


def test_a_browser_shows_its_session(ada: User, visitor: Person) -> None:
    assert signed_in(ada).client.get(ROOT + "me").json()["email"] == ada.email
    answer = visitor.client.get(ROOT + "me")
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


def test_no_cache_keeps_what_a_token_opens(ada: User) -> None:
    assert "no-store" in get("/api/v1/me", login(ada)["access_token"])["Cache-Control"]


@pytest.mark.parametrize("email", ["ada@lovelace.example", "eve@lovelace.example"])
def test_wrong_and_unknown_answer_alike(ada: User, email: str) -> None:
    answer = post("login", {"email": email, "password": "a guess"})
    assert answer.status_code == 401
    assert {key: answer.json()[key] for key in ("code", "detail")} == {
        "code": "credentials_wrong",
        "detail": "the address or the password is wrong",
    }


@pytest.mark.parametrize("facts", [{}, {"email": "no address", "password": "x"}, {"email": "a@b.example"}])
def test_half_a_request_is_explained(db: None, facts: dict[str, str]) -> None:
    assert post("login", facts).status_code == 400


def test_only_json_is_read(ada: User) -> None:
    """A form on another site cannot send it."""
    answer = Client().post(ROOT + "login", {"email": ada.email, "password": PASSWORD})
    assert answer.status_code == 415


def test_guessing_is_limited(ada: User) -> None:
    answers = [post("login", {"email": ada.email, "password": "a guess"}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert answers[-1]["Retry-After"] == "300"


def test_a_switched_off_account(ada: User) -> None:
    pair = login(ada)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert get(ROOT + "me", pair["access_token"]).status_code == 401
    answer = post("login", {"email": ada.email, "password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (401, "account_inactive")
    assert post("refresh", {"refresh_token": pair["refresh_token"]}).status_code == 401


# ---- the second factor


def test_the_second_factor_is_asked_for(ada: User, steady: time_machine.Traveller) -> None:
    secret = give_totp(ada)
    facts = {"email": ada.email, "password": PASSWORD}
    assert post("login", facts).json()["code"] == "mfa_required"
    assert post("login", facts | {"code": "000000"}).json()["code"] == "mfa_wrong"
    assert not Session.objects.exists()  # half a sign-in leaves nothing
    code = code_of(secret)
    assert login(ada, code=code)["access_token"]
    assert post("login", facts | {"code": code}).json()["code"] == "mfa_wrong"


def test_a_recovery_code_serves_once(ada: User) -> None:
    give_totp(ada)
    code = RecoveryCodes.activate(ada).get_unused_codes()[0]
    login(ada, code=code)
    assert post("login", {"email": ada.email, "password": PASSWORD, "code": code}).status_code == 401


def test_guessing_codes_is_limited(ada: User) -> None:
    give_totp(ada)
    facts = {"email": ada.email, "password": PASSWORD}
    statuses = [post("login", facts | {"code": f"00000{guess}"}).status_code for guess in range(6)]
    assert statuses == [401] * 5 + [429]


# ---- refreshing


def test_a_refresh_token_works_once(ada: User) -> None:
    token = {"refresh_token": login(ada)["refresh_token"]}
    assert post("refresh", token).status_code == 200
    answer = post("refresh", token)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


def test_a_refresh_token_used_twice_at_once_works_once(ada: User) -> None:
    token = {"refresh_token": login(ada)["refresh_token"]}

    def refresh(_: int) -> int:
        try:
            return int(post("refresh", token).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(refresh, range(6))) == [200, 401, 401, 401, 401, 401]


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c", "access"])
def test_what_is_no_refresh_token_refreshes_nothing(ada: User, token: str) -> None:
    given = login(ada)["access_token"] if token == "access" else token
    assert post("refresh", {"refresh_token": given}).status_code == (401 if token else 400)


def test_an_expired_access_token_does_not_keep_from_refreshing(ada: User) -> None:
    pair = login(ada)
    headers = {"Authorization": "Bearer out.of.date"}
    assert post("refresh", {"refresh_token": pair["refresh_token"]}, headers=headers).status_code == 200


# ---- access tokens on the rest of the API


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c", "refresh", "forged", "expired"])
@pytest.mark.parametrize("path", ["me", "rounds/", "auth/me", "no/such/page"])
def test_a_token_that_is_not_good_is_never_a_visitors(ada: User, token: str, path: str) -> None:
    pair = login(ada)
    given = {
        "refresh": pair["refresh_token"],
        "forged": pair["access_token"][:-4] + "AAAA",
        "expired": pair["access_token"],
    }.get(token, token)
    with time_machine.travel(wall_now() + timedelta(seconds=301 if token == "expired" else 0)):
        answer = get(f"/api/v1/{path}", given)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["request_id"] == answer["X-Request-ID"]


def test_a_token_sees_what_its_person_sees(owner: Person, newcomer: Person, stranger: Person) -> None:
    for person in (owner, newcomer, stranger):
        cache.clear()
        mine = get("/api/v1/me", login(person.user)["access_token"]).json()
        assert mine == person.client.get("/api/v1/me").json()


def test_a_token_counts_more_than_a_cookie(owner: Person, stranger: Person) -> None:
    token = login(owner.user)["access_token"]
    assert get(ROOT + "me", token, stranger.client).json()["email"] == owner.user.email
    assert stranger.client.get(ROOT + "me").json()["email"] == stranger.user.email  # and leaves the session alone


def test_a_tokens_session_chooses_among_own_organizations_only(owner: Person, stranger: Person) -> None:
    token = login(owner.user)["access_token"]
    payload = tokens.decode_token(token, "access")
    session = tokens.get_token_session(payload)
    session[SESSION_ORGANIZATION] = stranger.organization.pk
    session.save()
    assert get("/api/v1/me", token).json()["plan"] == "desk"
    join(stranger.organization, owner.user)
    assert get("/api/v1/me", token).json()["plan"] == "pro"


def test_a_token_opens_the_api_only(owner: Person) -> None:
    token = login(owner.user)["access_token"]
    assert get("/organization/", token).status_code == 302
    assert get("/console/", token).status_code == 404


def test_an_organization_that_asks_for_a_factor(owner: Person, teammate: Person) -> None:
    give_totp(owner.user)
    with scope_to(owner.organization.pk):
        require_mfa(Organization.objects.get(), True, owner.user)
    token = login(teammate.user)["access_token"]
    assert get("/api/v1/rounds/", token).json()["code"] == "mfa_required"


# ---- the session behind it


def test_an_ended_session_takes_its_tokens_along(ada: User) -> None:
    pair = login(ada)
    browser = signed_in(ada)
    assert browser.client.get("/accounts/sessions/").content.count(b"/end/") == 2
    browser.client.post("/accounts/sessions/")
    assert get(ROOT + "me", pair["access_token"]).status_code == 401
    assert post("refresh", {"refresh_token": pair["refresh_token"]}).status_code == 401


def test_a_new_password_takes_all_tokens_along(ada: User) -> None:
    pair = login(ada)
    new = {"oldpassword": PASSWORD, "password1": "difference engine", "password2": "difference engine"}
    signed_in(ada).client.post("/accounts/password/change/", new)
    assert get(ROOT + "me", pair["access_token"]).status_code == 401
    assert post("refresh", {"refresh_token": pair["refresh_token"]}).status_code == 401


def test_a_tokens_session_has_the_same_limits(ada: User) -> None:
    with time_machine.travel(wall_now(), tick=False) as clock:
        pair = login(ada)
        for _ in range(10):
            clock.shift(timedelta(hours=70))
            answer = post("refresh", {"refresh_token": pair["refresh_token"]})
            pair = answer.json()
            get(ROOT + "me", pair["access_token"])
        assert answer.status_code == 200
        clock.shift(timedelta(hours=21))
        assert post("refresh", {"refresh_token": pair["refresh_token"]}).status_code == 401


def test_using_a_token_is_using_its_session(ada: User) -> None:
    with time_machine.travel(wall_now(), tick=False) as clock:
        pair = login(ada)
        began = UserSession.objects.get().last_seen_at
        clock.shift(200)
        pair = post("refresh", {"refresh_token": pair["refresh_token"]}).json()
        clock.shift(150)
        assert get(ROOT + "me", pair["access_token"]).status_code == 200
        assert UserSession.objects.get().last_seen_at == began + timedelta(seconds=350)
        session = tokens.get_token_session(tokens.decode_token(pair["access_token"], "access"))
        assert session["seen_at"] - session["began_at"] == 350


def test_one_left_alone_is_not_refreshed(ada: User) -> None:
    with time_machine.travel(wall_now(), tick=False) as clock:
        pair = login(ada)
        clock.shift(timedelta(hours=72))
        assert post("refresh", {"refresh_token": pair["refresh_token"]}).status_code == 401


def test_a_program_is_listed_with_its_name(ada: User) -> None:
    facts = {"email": ada.email, "password": PASSWORD}
    post("login", facts, headers={"User-Agent": "robot/1.0"})
    assert UserSession.objects.get().user_agent == "robot/1.0"


# ---- registering


def test_registering(db: None) -> None:
    answer = post("register", NEW)
    assert answer.status_code == 201
    me = get(ROOT + "me", answer.json()["access_token"]).json()
    assert (me["email"], me["role"], me["plan"]) == ("grace@hopper.example", "owner", "free")


@pytest.mark.parametrize("facts", [{"password": "short"}, {"email": "none"}, {"password": "password123"}])
def test_a_weak_registration_is_explained(db: None, facts: dict[str, str]) -> None:
    assert post("register", NEW | facts).status_code == 400
    assert not User.objects.exists()


def test_a_known_address_registers_like_a_new_one(ada: User, settings: Settings) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    answers = [post("register", NEW | {"email": email}) for email in (ada.email, "grace@hopper.example")]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].content == answers[1].content
    assert [message.subject for message in mail.outbox] == [
        "Candor: You have an account already",
        "Candor: Confirm your address",
    ]
    waiting = post("login", {"email": "grace@hopper.example", "password": NEW["password"]})
    assert (waiting.status_code, waiting.json()["code"]) == (401, "email_unconfirmed")


def test_robots_register_ten_a_minute(db: None) -> None:
    statuses = [post("register", NEW | {"email": f"robot{n}@hopper.example"}).status_code for n in range(15)]
    assert statuses == [201] * 10 + [429] * 5


# ---- allauth's own API


def test_allauths_api_takes_the_same_steps(ada: User, steady: time_machine.Traveller) -> None:
    secret = give_totp(ada)
    client = Client(enforce_csrf_checks=True)

    def step(path: str, facts: dict[str, str], session: str = "") -> Answer:
        headers = {"X-Session-Token": session} if session else {}
        path = f"/_allauth/app/v1/auth/{path}"
        return client.post(path, facts, content_type="application/json", headers=headers)

    first = step("login", {"email": ada.email, "password": PASSWORD})
    assert first.status_code == 401  # one more step
    second = step("2fa/authenticate", {"code": code_of(secret)}, first.json()["meta"]["session_token"])
    assert second.status_code == 200
    assert get(ROOT + "me", second.json()["meta"]["access_token"]).json()["email"] == ada.email


def test_a_sign_up_over_allauths_api_is_kept(db: None, settings: Settings) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    answer = Client().post("/_allauth/app/v1/auth/signup", NEW, content_type="application/json")
    assert answer.status_code == 401  # the address waits to be confirmed
    assert User.objects.filter(email="grace@hopper.example").exists()
    assert len(mail.outbox) == 1
