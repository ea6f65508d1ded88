"""What ends a session ends the sockets it opened, over a real socket (S8)."""

from collections.abc import Callable, Iterator

import pytest
from asgiref.sync import sync_to_async
from websockets.exceptions import ConnectionClosed

from accounts.accepting import accept_terms
from accounts.identity.requiring import require_mfa
from accounts.identity.sessions import end_sessions
from accounts.models import Organization, User
from accounts.scoping import scope_to
from signals.rights import STEP_S, USER_CHECK_S
from tests.accounts.identity.doing import Browser, set_up_totp, signed_in
from tests.factories import PASSWORD, give_totp, join, make_user
from tests.people import Person
from tests.signals.live import reading, serving

pytestmark = pytest.mark.django_db(transaction=True)
SIGNED_OUT, RIGHTS_CHANGED = 4401, 4403


@pytest.fixture
def address(transactional_db: None) -> Iterator[str]:
    """The platform on a bound socket."""
    with serving() as running:
        yield running


def switch_off(user: User, _: Browser) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def change_password(_: User, other: Browser) -> None:
    new = {"oldpassword": PASSWORD, "password1": "difference engine", "password2": "difference engine"}
    assert other.client.post("/accounts/password/change/", new).status_code == 302


def set_up_a_factor(_: User, other: Browser) -> None:
    set_up_totp(other)


def end_all_others(_: User, other: Browser) -> None:
    assert other.client.post("/accounts/sessions/").status_code == 302


def end_by_an_operator(user: User, _: Browser) -> None:
    end_sessions(user, reason="test")


@pytest.mark.parametrize("act", [switch_off, change_password, set_up_a_factor, end_all_others, end_by_an_operator])
async def test_an_open_socket_closes(act: Callable[[User, Browser], None], ada: User, address: str) -> None:
    at_work, elsewhere = await sync_to_async(signed_in)(ada), await sync_to_async(signed_in)(ada)
    key = await sync_to_async(lambda: elsewhere.client.session.session_key)()
    async with reading(address, key) as reader:
        await reader.hello(None)
        await sync_to_async(act)(ada, at_work)
        frame = await reader.until("access")
        assert frame["code"] == SIGNED_OUT
        with pytest.raises(ConnectionClosed) as closed:
            await reader.until("never")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == SIGNED_OUT


async def test_a_session_without_the_factor_that_is_asked_for_has_no_socket(owner: Person, address: str) -> None:
    def prepare() -> tuple[User, str]:
        member = make_user("late@desk.example")
        join(owner.organization, member)
        accept_terms(member, None)
        give_totp(owner.user)
        return member, str(signed_in(member).client.session.session_key)

    def ask() -> None:
        with scope_to(owner.organization.pk):
            require_mfa(Organization.objects.get(), True, owner.user)

    _, key = await sync_to_async(prepare)()
    async with reading(address, key) as reader:
        await reader.hello(None)
        await sync_to_async(ask)()
        frame = await reader.until("access")
        assert (frame["code"], "second factor" in frame["reason"]) == (RIGHTS_CHANGED, True)
    async with reading(address, key) as reader:
        with pytest.raises(ConnectionClosed) as closed:
            await reader.hello(None)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == RIGHTS_CHANGED


def test_nobody_is_believed_for_longer_than_five_seconds() -> None:
    """What no event tells, a look at the users does: it must begin, and end, within five seconds."""
    assert USER_CHECK_S + STEP_S <= 5.0
