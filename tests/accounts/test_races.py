"""Two people at the same moment: the last seat, the last owner, one invitation."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.core import mail
from django.db import connection

from accounts.errors import MembershipError
from accounts.inviting import accept_invitation, invite
from accounts.members import change_role, remove_member
from accounts.models import AuditEntry, Invitation, Membership, Role
from accounts.scoping import scope_to
from tests.factories import join, make_user
from tests.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
LINK = "http://testserver/{token}"


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Results of the acts, each on a connection of its own; a refusal counts as None."""
    start = Barrier(len(acts))

    def run(act: Callable[[], object]) -> object:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            start.wait(10)
            return act()
        except MembershipError:
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def test_the_last_seat_is_given_once(freebie: Person) -> None:
    def act(email: str) -> Callable[[], object]:
        def run() -> object:
            with scope_to(freebie.organization.pk):
                return invite(freebie.organization, freebie.user, email, Role.MEMBER, LINK)

        return run

    results = at_once(*(act(f"{name}@small.example") for name in "abcd"))
    assert sum(result is not None for result in results) == 1
    with scope_to(freebie.organization.pk):
        assert Invitation.objects.count() == 1


def test_two_owners_cannot_both_go(owner: Person) -> None:
    second = join(owner.organization, make_user("second@desk.example"), Role.OWNER)
    with scope_to(owner.organization.pk):
        first = Membership.objects.get(user=owner.user)

    def leave() -> object:
        with scope_to(owner.organization.pk):
            remove_member(first, by=first)
        return True

    def step_down() -> object:
        with scope_to(owner.organization.pk):
            change_role(second, Role.MEMBER, by=second)
        return True

    assert sorted(at_once(leave, step_down), key=str) == [None, True]
    with scope_to(owner.organization.pk):
        assert Membership.objects.filter(role=Role.OWNER).count() == 1


def test_an_invitation_is_accepted_once(owner: Person) -> None:
    with scope_to(owner.organization.pk):
        invite(owner.organization, owner.user, "new@desk.example", Role.MEMBER, LINK)
    token = str(mail.outbox[-1].body).split("http://testserver/")[1].split()[0]
    user = make_user("new@desk.example")
    results = at_once(*[lambda: accept_invitation(user, token)] * 3)
    assert sum(result is not None for result in results) == 1
    with scope_to(owner.organization.pk):
        assert AuditEntry.objects.filter(action="member.joined").count() == 1
