"""An operator looks at the platform as somebody else: to read, for half an hour, for a reason, on the record."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.signals import user_logged_out
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django_scopes import scopes_disabled

from accounts.audit import record
from accounts.errors import ImpersonationError
from accounts.models import Membership, User
from accounts.scoping import acting_as, scope_to
from lib.clock import wall_now

LASTS = timedelta(minutes=30)
SESSION_IMPERSONATION = "impersonation"
"""The session's key for who is looked at and since when."""


@dataclass(frozen=True, slots=True)
class Impersonation:
    """Whom an operator's session shows the platform as."""

    user_id: int
    organization_id: int | None
    until: str
    """End, ISO 8601."""

    def is_over(self, now: datetime) -> bool:
        """Whether its time has passed."""
        return now >= datetime.fromisoformat(self.until)


def present_impersonation(session: SessionBase) -> Impersonation | None:
    """What the session holds, also when its time is over."""
    facts = session.get(SESSION_IMPERSONATION)
    return Impersonation(**facts) if facts else None


def start_impersonation(session: SessionBase, operator: User, target: User, reason: str) -> Impersonation:
    """Let the operator's session show what `target` sees; inside operator work or not.

    Raises:
        ImpersonationError: the target is an operator, is switched off, or no reason is given.
    """
    if target.is_staff or target.is_superuser:
        raise ImpersonationError(_("An operator cannot be looked at this way."))
    if not target.is_active:
        raise ImpersonationError(_("This account is switched off: there is nothing to see."))
    if not reason.strip():
        raise ImpersonationError(_("Say what for: the reason is kept in the audit log."))
    with acting_as(target.pk), scopes_disabled():
        place = Membership.objects.filter(user=target).order_by("pk").first()
    until = (wall_now() + LASTS).isoformat(timespec="seconds")
    started = Impersonation(target.pk, place.organization_id if place else None, until)
    with transaction.atomic():
        _record("impersonation.started", operator, started, reason=reason.strip()[:500], until=until)
        session[SESSION_IMPERSONATION] = asdict(started)
    return started


def end_impersonation(session: SessionBase, operator: User, how: str = "by the operator") -> None:
    """Show the operator's own view again."""
    present = present_impersonation(session)
    if present is None:
        return
    with transaction.atomic():
        _record("impersonation.ended", operator, present, how=how)
        del session[SESSION_IMPERSONATION]


def _record(action: str, operator: User, facts: Impersonation, **details: Any) -> None:
    """Once among the rows of no organization, and once where those concerned can read it."""
    with acting_as(operator.pk):
        record(action, user=operator, of=facts.user_id, **details)
        if facts.organization_id is not None:
            with scope_to(facts.organization_id):
                record(action, user=operator, organization_id=facts.organization_id, of=facts.user_id, **details)


@receiver(user_logged_out)
def on_logout(request: HttpRequest, user: User | None, **kwargs: object) -> None:
    """The session that held it ends."""
    if user is not None and present_impersonation(request.session) is not None:
        end_impersonation(request.session, user, "signed out")
