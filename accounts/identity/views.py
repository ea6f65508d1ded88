"""Pages about sessions and about what an organization asks of its members' sign-in."""

from allauth.usersessions.internal.flows.sessions import end_sessions as end_as_asked
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import access_memberships, access_organization, require_managing, viewer_of
from accounts.errors import MembershipError
from accounts.identity.factors import SECOND_FACTORS, has_mfa
from accounts.identity.requiring import require_mfa
from accounts.models import User
from accounts.reauthentication import reauthenticated


@login_required
@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """End one of the person's own sessions."""
    found = get_object_or_404(UserSession, pk=pk, user=_user(request))
    end_as_asked(request, [found])
    messages.success(request, _("The session is ended."))
    return redirect("usersessions_list")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def organization_security(request: HttpRequest) -> HttpResponse:
    """Show who of the organization has a second factor, and let its managers ask all for one."""
    viewer = viewer_of(request)
    found = access_organization(viewer)
    require_managing(viewer)
    if request.method == "POST":
        return _change(request)
    members = access_memberships(viewer).filter(user__authenticator__type__in=SECOND_FACTORS)
    protected = set(members.values_list("user_id", flat=True))
    facts = {
        "organization": found,
        "memberships": [(member, member.user_id in protected) for member in access_memberships(viewer)],
        "may_require": has_mfa(_user(request)),
    }
    return render(request, "account/organization_security.html", facts)


@reauthenticated("identity:organization-security")
def _change(request: HttpRequest) -> HttpResponse:
    try:
        require_mfa(access_organization(viewer_of(request)), request.POST.get("required") == "on", by=_user(request))
    except MembershipError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("Saved."))
    return redirect("identity:organization-security")


def _user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise Http404
    return request.user
