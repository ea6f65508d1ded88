"""Pages about acceptance, the organization and its people."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.forms import BaseForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.accepting import accept_terms
from accounts.access import (
    SESSION_ORGANIZATION,
    access_invitation,
    access_invitations,
    access_membership,
    access_memberships,
    access_organization,
    memberships_of,
    require_managing,
    viewer_of,
)
from accounts.audit import record
from accounts.errors import MembershipError
from accounts.forms import AcceptForm, InviteForm, RenameForm, RoleForm
from accounts.inviting import accept_invitation, find_invitation, invite, seats_of, withdraw_invitation
from accounts.members import change_role, remove_member, rename_organization
from accounts.models import Role
from accounts.pages import GET_AND_POST, next_page, own_membership, user_of
from lib.origin import origin


@login_required
@require_http_methods(GET_AND_POST)
def accept(request: HttpRequest) -> HttpResponse:
    """Show the terms and the risk disclaimer, and store that they were accepted."""
    target = next_page(request)
    form = AcceptForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        accept_terms(user_of(request), origin().ip)
        return redirect(target)
    return render(request, "accounts/accept.html", {"form": form, "next": target})


@login_required
@require_GET
def organization(request: HttpRequest) -> HttpResponse:
    """The organization, its members and its open invitations."""
    return _organization_page(request, InviteForm())


@login_required
@require_POST
def rename(request: HttpRequest) -> HttpResponse:
    """Give the organization another name."""
    viewer = viewer_of(request)
    found = access_organization(viewer)
    require_managing(viewer)
    form = RenameForm(request.POST)
    if not form.is_valid():
        return _organization_page(request, InviteForm(), rename_form=form)
    rename_organization(found, form.cleaned_data["name"], user_of(request))
    return redirect("accounts:organization")


@login_required
@require_POST
def switch(request: HttpRequest) -> HttpResponse:
    """Make another of the user's organizations the active one."""
    wanted = memberships_of(user_of(request)).filter(organization__slug=request.POST.get("organization", "")).first()
    if wanted is None:
        raise Http404
    record("session.switched", user=user_of(request), after=wanted.organization_id)
    request.session[SESSION_ORGANIZATION] = wanted.organization_id
    return redirect(next_page(request))


@login_required
@require_POST
def invite_member(request: HttpRequest) -> HttpResponse:
    """Invite somebody by mail."""
    viewer = viewer_of(request)
    found = access_organization(viewer)
    require_managing(viewer)
    form = InviteForm(request.POST)
    if not form.is_valid():
        return _organization_page(request, form)
    page = request.build_absolute_uri(reverse("accounts:invitation", args=["TOKEN"])).replace("TOKEN", "{token}")
    try:
        invite(found, user_of(request), form.cleaned_data["email"], form.cleaned_data["role"], page)
    except MembershipError as error:
        form.add_error("email", str(error))
        return _organization_page(request, form)
    messages.success(request, _("The invitation to %(email)s is on its way.") % form.cleaned_data)
    return redirect("accounts:organization")


@login_required
@require_POST
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """Take an open invitation back."""
    viewer = viewer_of(request)
    found = access_invitation(viewer, pk)
    require_managing(viewer)
    withdraw_invitation(found, user_of(request))
    return redirect("accounts:organization")


@login_required
@require_POST
def role(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a member's role."""
    viewer = viewer_of(request)
    found = access_membership(viewer, pk)
    require_managing(viewer)
    form = RoleForm(request.POST)
    if not form.is_valid():
        return _refused(request, _("Choose one of the roles."))
    try:
        change_role(found, form.cleaned_data["role"], by=own_membership(request))
    except MembershipError as error:
        return _refused(request, str(error))
    return redirect("accounts:organization")


@login_required
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """End a membership; everyone may end their own."""
    viewer = viewer_of(request)
    found = access_membership(viewer, pk)
    if found.user_id != viewer.user_id:
        require_managing(viewer)
    try:
        remove_member(found, by=own_membership(request))
    except MembershipError as error:
        return _refused(request, str(error))
    return redirect("accounts:organization" if found.user_id != viewer.user_id else "/")


@login_required
@require_http_methods(GET_AND_POST)
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Show an invitation to the person it was sent to, and let them accept it.

    An unknown, a used, an expired and somebody else's invitation look the same.
    """
    user = user_of(request)
    if request.method == "POST":
        membership = accept_invitation(user, token)
        if membership is not None:
            request.session[SESSION_ORGANIZATION] = membership.organization_id
            return redirect("accounts:organization")
    found = find_invitation(user, token)
    status = 404 if found is None else 200
    return render(request, "accounts/invitation.html", {"invitation": found}, status=status)


def _organization_page(
    request: HttpRequest, invite_form: InviteForm, *, rename_form: RenameForm | None = None, problem: str = ""
) -> HttpResponse:
    """The page with whatever was refused on it, as 422 then: a refused request changes nothing."""
    viewer = viewer_of(request)
    found = access_organization(viewer)
    context = {
        "organization": found,
        "seats": seats_of(found),
        "memberships": access_memberships(viewer),
        "invitations": access_invitations(viewer),
        "own_memberships": memberships_of(user_of(request)),
        "roles": Role.choices,
        "invite_form": invite_form,
        "rename_form": rename_form or RenameForm(initial={"name": found.name}),
        "problem": problem,
    }
    return render(request, "accounts/organization.html", context, status=422 if _has_errors(context, problem) else 200)


def _has_errors(context: dict[str, object], problem: str) -> bool:
    forms = (context["invite_form"], context["rename_form"])
    return bool(problem) or any(isinstance(form, BaseForm) and form.is_bound and form.errors for form in forms)


def _refused(request: HttpRequest, problem: str) -> HttpResponse:
    return _organization_page(request, InviteForm(), problem=problem)
