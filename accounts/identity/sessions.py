"""A person's sessions: each is listed, and can be ended from any other."""

from collections.abc import Iterable
from typing import Any

from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from django.contrib.sessions.backends.base import SessionBase

from accounts.audit import record
from accounts.events import sessions_ended
from accounts.models import User
from accounts.scoping import acting_as
from lib.clock import wall_now


class SessionsAdapter(DefaultUserSessionsAdapter):  # type: ignore[misc]  # allauth has no types
    """Sessions that are ended from allauth's own pages and API end as all others do."""

    def end_sessions(self, sessions: Iterable[Any]) -> None:
        """End them; they are one person's."""
        found = list(sessions)
        if found:
            _end(found[0].user, found, reason="asked")


def end_sessions(user: User, *, keep: str | None = None, reason: str) -> int:
    """End a person's sessions, the sockets they opened and the tokens that rest on them; answers how many.

    Args:
        user: whose.
        keep: key of the session that goes on, which is the one that asks.
        reason: what for, in a word for the audit log.
    """
    return _end(user, list(UserSession.objects.filter(user=user).exclude(session_key=keep or "")), reason)


def note_use(session: SessionBase) -> None:
    """Write the time of use where the list of sessions shows it."""
    UserSession.objects.filter(session_key=session.session_key).update(last_seen_at=wall_now())


def _end(user: User, sessions: list[Any], reason: str) -> int:
    for session in sessions:
        session.end()
    with acting_as(user.pk):
        if sessions:
            record("sessions.ended", user=user, sessions=len(sessions), reason=reason)
        sessions_ended.send(UserSession, user_id=user.pk)
    return len(sessions)
