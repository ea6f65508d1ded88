"""How long a session lasts: since its last use, and since its sign-in, both by the wall clock."""

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase

from lib.clock import epoch, wall_now

BEGAN, SEEN = "began_at", "seen_at"
STEP_S = 300
"""A session's last use is written down this often at most, so that reading pages is not writing rows."""


def begin(session: SessionBase) -> None:
    """Start both clocks: somebody has just signed in."""
    session[BEGAN] = session[SEEN] = epoch(wall_now())


def has_ended(session: SessionBase) -> bool:
    """Whether a session was left alone for too long or is too old; one without a sign-in never is."""
    began, seen = session.get(BEGAN), session.get(SEEN)
    if began is None or seen is None:
        return False
    now, idle, absolute = epoch(wall_now()), settings.SESSION_IDLE, settings.SESSION_ABSOLUTE
    return bool(now - seen >= idle.total_seconds() or now - began >= absolute.total_seconds())


def touch(session: SessionBase) -> bool:
    """Note that a signed-in session is in use; answers whether something was written."""
    if session.get(BEGAN) is None:  # signed in before there were limits
        begin(session)
        return True
    now = epoch(wall_now())
    if now - session[SEEN] < STEP_S:
        return False
    session[SEEN] = now
    return True
