"""Who is looking, and what they may fetch. Permission lives in these fetches: what is foreign does not exist."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django_scopes import scopes_disabled

from accounts.models import MANAGING_ROLES, WRITING_ROLES, Acceptance, Invitation, Membership, Role, User
from accounts.plans import FREE, Plan, plan_of
from accounts.scoping import acting_as

SESSION_ORGANIZATION = "organization"
"""The session's key for the active organization's id."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a page, a socket or an answer, reduced to what decides what they see.

    A visitor has no user and the Free plan. A member who has not accepted the terms and the risk disclaimer sees what
    a visitor sees.
    """

    user_id: int | None = None
    organization_id: int | None = None
    role: Role | None = None
    plan: Plan = FREE
    accepted: bool = False
    operator: bool = False

    @property
    def is_visitor(self) -> bool:
        """Nobody is signed in."""
        return self.user_id is None

    @property
    def may_write(self) -> bool:
        """May change the organization's things: every role but read-only."""
        return self.role in WRITING_ROLES

    @property
    def may_manage(self) -> bool:
        """May change the organization itself and who belongs to it: owners and admins."""
        return self.role in MANAGING_ROLES

    @property
    def is_live(self) -> bool:
        """May see signals under the rules of their own plan."""
        return self.organization_id is not None and self.accepted

    @property
    def delay_s(self) -> int:
        """Seconds of market time a round or signal is held back for this viewer."""
        return self.plan.delay_s if self.is_live else max(FREE.delay_s, self.plan.delay_s)


VISITOR = Viewer()


def viewer_of(request: HttpRequest) -> Viewer:
    """The request's viewer, put there by `TenantMiddleware`."""
    viewer: Viewer = getattr(request, "viewer", VISITOR)
    return viewer


def viewer_of_user(user: User | AnonymousUser, wanted_organization: object = None) -> Viewer:
    """Look up what a person may see now.

    Args:
        user: the session's user.
        wanted_organization: the session's organization id; one the user does not belong to is passed over.
    """
    if not isinstance(user, User) or not user.is_active:
        return VISITOR
    with acting_as(user.pk):
        membership = _active_membership(user, wanted_organization)
        accepted = Acceptance.objects.filter(user=user, version=settings.TERMS_VERSION).exists()
    if membership is None:
        return Viewer(user.pk, accepted=accepted, operator=user.is_staff)
    organization = membership.organization
    return Viewer(user.pk, organization.pk, Role(membership.role), plan_of(organization.plan), accepted, user.is_staff)


def viewer_of_scope(scope: dict[str, Any]) -> Viewer:
    """The viewer of a WebSocket, from the session and user that Channels' middleware put into its scope.

    Reads the database anew each time, so it is also the periodic check that a session still holds; call it through
    `database_sync_to_async`. A user changed in the meantime (disabled, new password) counts as a visitor.
    """
    user = scope.get("user")
    session = scope.get("session")
    if user is None or not getattr(user, "is_authenticated", False):
        return VISITOR
    fresh = User.objects.filter(pk=user.pk, is_active=True, password=user.password).first()
    if fresh is None or session is None or not session.exists(session.session_key):
        return VISITOR
    return viewer_of_user(fresh, session.get(SESSION_ORGANIZATION))


def _active_membership(user: User, wanted: object) -> Membership | None:
    """The membership in the wanted organization, else the oldest one."""
    found = list(memberships_of(user))
    return next((membership for membership in found if membership.organization_id == wanted), next(iter(found), None))


def memberships_of(user: User) -> QuerySet[Membership]:
    """All memberships of a person, oldest first; the walls let them through inside `acting_as(user)` only."""
    with scopes_disabled():
        return Membership.objects.filter(user=user).select_related("organization").order_by("pk")


def require_managing(viewer: Viewer) -> None:
    """Raise 403 unless the viewer may manage their own organization."""
    if not viewer.may_manage:
        raise PermissionDenied("only owners and admins of the organization may do this")


def access_memberships(viewer: Viewer) -> QuerySet[Membership]:
    """The memberships of the viewer's organization; 404 for who belongs to none."""
    if viewer.organization_id is None:
        raise Http404
    return Membership.objects.filter(organization_id=viewer.organization_id).select_related("user").order_by("pk")


def access_invitations(viewer: Viewer) -> QuerySet[Invitation]:
    """The open invitations of the viewer's organization; 404 for who belongs to none."""
    if viewer.organization_id is None:
        raise Http404
    open_ones = Invitation.objects.filter(organization_id=viewer.organization_id, accepted_at__isnull=True)
    return open_ones.order_by("pk")
