"""Who is looking, and what they may fetch. Permission lives in these fetches: what is foreign does not exist."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from importlib import import_module
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django_scopes import scopes_disabled
from rest_framework.request import Request

from accounts.identity.clocks import has_ended
from accounts.identity.factors import has_mfa
from accounts.models import (
    MANAGING_ROLES,
    WRITING_ROLES,
    Acceptance,
    AuditEntry,
    DataExport,
    Invitation,
    Membership,
    Organization,
    Role,
    User,
)
from accounts.plans import FREE, Plan, plan_of
from accounts.scoping import acting_as

SESSION_ORGANIZATION = "organization"
"""The session's key for the active organization's id."""

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a page, a socket or an answer, reduced to what decides what they see.

    A visitor has no user and the Free plan. A member who has not accepted the terms and the risk disclaimer sees no
    more of the signals than a visitor does; nor does one whose organization asks for a second factor they lack.
    """

    user_id: int | None = None
    organization_id: int | None = None
    role: Role | None = None
    plan: Plan = FREE
    accepted: bool = False
    operator: bool = False
    mfa_missing: bool = False
    followed: tuple[int, ...] = ()
    """The instruments that the organization chose, in its order; none: the market's first ones."""

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
    def must_accept(self) -> bool:
        """Signed in, but has still to accept the present terms and risk disclaimer."""
        return self.user_id is not None and not self.accepted

    @property
    def is_live(self) -> bool:
        """Sees rounds and signals under the rules of their own plan."""
        return self.organization_id is not None and self.accepted and not self.mfa_missing

    @property
    def delay_s(self) -> int:
        """Seconds of market time a round or signal is held back for this viewer."""
        return self.plan.delay_s if self.is_live else max(FREE.delay_s, self.plan.delay_s)


VISITOR = Viewer()


def viewer_of(request: HttpRequest | Request) -> Viewer:
    """The request's viewer, put there by `TenantMiddleware`."""
    viewer: Viewer = getattr(request, "viewer", VISITOR)
    return viewer


def viewer_of_user(user: User | AnonymousUser, wanted: object = None) -> Viewer:
    """Look up what a person may see now.

    Args:
        user: the session's user.
        wanted: the session's organization id; one the user does not belong to is passed over.
    """
    if not isinstance(user, User) or not user.is_active:
        return VISITOR
    with acting_as(user.pk):
        return find_viewer(user, wanted)


def find_viewer(user: User, wanted: object) -> Viewer:
    """The same, for who is inside `acting_as(user)` already."""
    membership = _active_membership(user, wanted)
    accepted = Acceptance.objects.filter(user=user, version=settings.TERMS_VERSION).exists()
    if membership is None:
        return Viewer(user.pk, accepted=accepted, operator=user.is_staff)
    tenant = membership.organization
    return Viewer(
        user.pk,
        tenant.pk,
        Role(membership.role),
        plan_of(tenant.plan),
        accepted,
        user.is_staff,
        mfa_missing=tenant.requires_mfa and not has_mfa(user),
        followed=tuple(tenant.followed),
    )


def viewer_of_scope(scope: dict[str, Any]) -> Viewer:
    """The viewer of a WebSocket, from the session in its scope; call it through `database_sync_to_async`.

    Reads session, user and membership anew each time, so it is also the periodic check that a socket may stay: a
    session that ended, a disabled user and a changed password all make a visitor.
    """
    key = getattr(scope.get("session"), "session_key", None)
    if key is None:
        return VISITOR
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    if has_ended(request.session):
        return VISITOR
    return viewer_of_user(get_user(request), request.session.get(SESSION_ORGANIZATION))


def memberships_of(user: User) -> QuerySet[Membership]:
    """All memberships of a person, oldest first; the inner wall lets them through inside `acting_as(user)` only."""
    with scopes_disabled():
        return Membership.objects.filter(user=user).select_related("organization").order_by("pk")


def _active_membership(user: User, wanted: object) -> Membership | None:
    """The membership in the wanted organization, else the oldest one."""
    found = list(memberships_of(user))
    return next((membership for membership in found if membership.organization_id == wanted), next(iter(found), None))


def require_owning(viewer: Viewer) -> None:
    """Raise 403 unless the viewer owns their organization."""
    if viewer.role != Role.OWNER:
        raise PermissionDenied("only owners of the organization may do this")


def require_managing(viewer: Viewer) -> None:
    """Raise 403 unless the viewer may manage their own organization."""
    if not viewer.may_manage:
        raise PermissionDenied("only owners and admins of the organization may do this")


def acceptance_required(
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Send a member who has still to accept the terms to the page that asks for it, and back afterwards."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if viewer_of(request).must_accept:
            query = urlencode({"next": request.get_full_path()})
            return HttpResponseRedirect(f"{reverse('accounts:accept')}?{query}")
        return view(request, *args, **kwargs)

    return guarded


def access_organization(viewer: Viewer) -> Organization:
    """The viewer's active organization; 404 for who belongs to none."""
    if viewer.organization_id is None:
        raise Http404
    return get_object_or_404(Organization.objects, pk=viewer.organization_id)


def access_memberships(viewer: Viewer) -> QuerySet[Membership]:
    """The memberships of the viewer's organization, oldest first; 404 for who belongs to none."""
    organization = access_organization(viewer)
    return Membership.objects.filter(organization=organization).select_related("user").order_by("pk")


def access_membership(viewer: Viewer, pk: int) -> Membership:
    """One membership of the viewer's organization; 404 where it is foreign or absent."""
    return get_object_or_404(access_memberships(viewer), pk=pk)


def access_invitations(viewer: Viewer) -> QuerySet[Invitation]:
    """The open invitations of the viewer's organization, oldest first; 404 for who belongs to none."""
    organization = access_organization(viewer)
    return Invitation.objects.filter(organization=organization, accepted_at__isnull=True).order_by("pk")


def access_invitation(viewer: Viewer, pk: int) -> Invitation:
    """One open invitation of the viewer's organization; 404 where it is foreign or absent."""
    return get_object_or_404(access_invitations(viewer), pk=pk)


def access_audit(viewer: Viewer) -> QuerySet[AuditEntry]:
    """The audit log of the viewer's organization; 403 below admin, 404 for who belongs to none."""
    organization = access_organization(viewer)
    require_managing(viewer)
    return AuditEntry.objects.filter(organization=organization).select_related("user")


def access_exports(viewer: Viewer) -> QuerySet[DataExport]:
    """The copies of data that the viewer has asked for, newest first; 404 for visitors."""
    if viewer.user_id is None:
        raise Http404
    return DataExport.objects.filter(user_id=viewer.user_id).order_by("-created_at")


def access_export(viewer: Viewer, pk: UUID, now: datetime) -> DataExport:
    """A finished copy that can be fetched at `now`; 404 for others', and for who owns its organization no longer."""
    ready = access_exports(viewer).filter(state=DataExport.State.READY, expires_at__gt=now)
    found = get_object_or_404(ready, pk=pk)
    if found.organization_id is not None and not _owns(found.user_id, found.organization_id):
        raise Http404
    return found


def _owns(user_id: int, organization_id: int) -> bool:
    with scopes_disabled():
        return Membership.objects.filter(user_id=user_id, organization_id=organization_id, role=Role.OWNER).exists()
