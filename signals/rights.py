"""What the person behind a socket may see: looked up at the hand-shake, and again for as long as it is open.

A socket outlives the session it was opened with, so nothing is trusted for long: every signed-in socket is looked at
anew within 50 s; within 4 s when its user's row changed (disabled, new password); at once when this platform itself
ended the session or changed the plan or the membership.
"""

import asyncio
from contextlib import suppress
from importlib import import_module
from types import SimpleNamespace

import orjson
import structlog
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.signals import user_logged_out
from django.db import DatabaseError
from django.dispatch import receiver

from accounts.access import VISITOR, Viewer, viewer_of_scope
from accounts.events import membership_changed, plan_changed, sessions_ended
from accounts.models import User
from lib.errors import CandorError
from signals import push
from signals.broadcaster import Broadcaster
from signals.groups import tier_of
from signals.sockets import RIGHTS_CHANGED, SIGNED_OUT, Member

FULL_CHECK_S = 50.0
USER_CHECK_S = 4.0
STEP_S = 1.0
NEVER = float("-inf")
MFA_MISSING = "your organization asks for a second factor: set one up"

log = structlog.get_logger(__name__)


def look_up(session_key: str | None) -> Viewer:
    """The viewer of a session, read anew from the database; whoever has no valid one is a visitor."""
    if not session_key:
        return VISITOR
    session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(SimpleNamespace(session=session))  # type: ignore[arg-type]  # it reads the session alone
    return viewer_of_scope({"user": user, "session": session})


class Warden:
    """Closes the sockets of one process whose rights have changed; their clients come back as what they are now."""

    def __init__(self, broadcaster: Broadcaster) -> None:
        self._broadcaster = broadcaster
        self._users: dict[int, tuple[bool, str]] = {}
        self._users_at = 0.0
        self._wake = asyncio.Event()
        broadcaster.on_recheck = self.hurry

    def hurry(self, message: push.Recheck) -> None:
        """Look at the sockets of a user at once; close those of an organization without a look.

        A look takes time in which the next round would still leave under the old plan. What changes a whole
        organization changes what it sees, and its clients come back with the id they have reached.
        """
        for member in self._broadcaster.members():
            if message.organization_id is not None and member.viewer.organization_id == message.organization_id:
                _dismiss(member, RIGHTS_CHANGED, "plan or membership changed")
            elif member.viewer.user_id == message.user_id:
                member.checked_at = NEVER
        self._wake.set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), STEP_S)
            self._wake.clear()
            try:
                await self._look()
            except (DatabaseError, CandorError) as error:
                log.warning("rights of open sockets cannot be checked", error=str(error))

    async def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        members = [member for member in self._broadcaster.members() if member.viewer.user_id is not None]
        if now - self._users_at >= USER_CHECK_S:
            self._users_at = now
            await self._look_at_users(members)
        due = [member for member in members if member.checked_at <= now - FULL_CHECK_S]
        viewers: dict[str | None, Viewer] = {}
        for member in due:
            if member.session_key not in viewers:
                viewers[member.session_key] = await self._broadcaster.in_thread(look_up, member.session_key)
            member.checked_at = now
            enforce(member, viewers[member.session_key])

    async def _look_at_users(self, members: list[Member]) -> None:
        found = await self._broadcaster.in_thread(_rows, [member.viewer.user_id or 0 for member in members])
        for member in members:
            user_id = member.viewer.user_id or 0
            is_active, password = found.get(user_id, (False, ""))
            if not is_active or self._users.get(user_id, (True, password)) != (True, password):
                member.checked_at = NEVER
        self._users = found


def enforce(member: Member, viewer: Viewer) -> None:
    """Close a socket that may no longer, or may now, see something else; say why first."""
    if viewer.user_id != member.viewer.user_id:
        _dismiss(member, SIGNED_OUT, "signed out")
    elif viewer.mfa_missing:
        _dismiss(member, RIGHTS_CHANGED, MFA_MISSING)
    elif viewer.organization_id != member.viewer.organization_id or tier_of(viewer) != member.tier:
        _dismiss(member, RIGHTS_CHANGED, "plan or membership changed")


def _dismiss(member: Member, code: int, reason: str) -> None:
    member.write(orjson.dumps({"type": "access", "code": code, "reason": reason}).decode())
    member.close(code, reason)


def _rows(user_ids: list[int]) -> dict[int, tuple[bool, str]]:
    users = User.objects.filter(pk__in=user_ids).values_list("pk", "is_active", "password")
    return {pk: (is_active, password) for pk, is_active, password in users}


@receiver(plan_changed)
def check_organization(sender: object, organization_id: int, **facts: object) -> None:
    """A plan was bought or ended: the organization's sockets are looked at again."""
    push.recheck(organization_id=organization_id)


@receiver(membership_changed)
def check_member(sender: object, user_id: int, **facts: object) -> None:
    """Somebody joined, left or got another role."""
    push.recheck(user_id=user_id)


@receiver(user_logged_out)
def check_leaver(sender: object, user: User | None, **facts: object) -> None:
    """A session has ended, and with it the sockets it opened."""
    if user is not None:
        push.recheck(user_id=user.pk)


@receiver(sessions_ended)
def check_sessions(sender: object, user_id: int, **facts: object) -> None:
    """Sessions of a person were ended, and with them the sockets they opened."""
    push.recheck(user_id=user_id)
