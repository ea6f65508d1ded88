"""Pages that found, hand over and close an organization."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import (
    SESSION_ORGANIZATION,
    access_membership,
    access_memberships,
    access_organization,
    require_owning,
    viewer_of,
)
from accounts.erasing import close_organization, grace, keep_organization
from accounts.errors import MembershipError
from accounts.forms import RenameForm, TransferForm, TypedNameForm
from accounts.models import Organization
from accounts.ownership import found_another, transfer_ownership
from accounts.pages import GET_AND_POST, own_membership, user_of
from accounts.reauthentication import reauthenticated


@login_required
@require_http_methods(GET_AND_POST)
def found(request: HttpRequest) -> HttpResponse:
    """Found one more organization and work in it."""
    form = RenameForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            made = found_another(user_of(request), form.cleaned_data["name"])
        except MembershipError as error:
            form.add_error("name", str(error))
        else:
            request.session[SESSION_ORGANIZATION] = made.pk
            return redirect("accounts:organization")
    return render(request, "accounts/found.html", {"form": form}, status=422 if form.errors else 200)


@login_required
@require_http_methods(GET_AND_POST)
def transfer(request: HttpRequest) -> HttpResponse:
    """Hand the organization over to another member."""
    organization = _owned(request)
    members = access_memberships(viewer_of(request)).exclude(user=user_of(request))
    form = TransferForm(members, organization.name, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        heir = access_membership(viewer_of(request), form.cleaned_data["heir"])
        try:
            transfer_ownership(heir, by=own_membership(request))
        except MembershipError as error:
            form.add_error("heir", str(error))
        else:
            words = {"name": organization.name, "email": heir.user.email}
            messages.success(request, _("%(name)s belongs to %(email)s now. You are an admin of it.") % words)
            return redirect("accounts:organization")
    context = {"form": form, "organization": organization, "members": members}
    return render(request, "accounts/transfer.html", context, status=422 if form.errors else 200)


@reauthenticated("accounts:close-organization")
@require_http_methods(GET_AND_POST)
def close(request: HttpRequest) -> HttpResponse:
    """Ask for the erasure of the organization."""
    organization = _owned(request)
    label = _("Type the organization's name, “%(name)s”, to confirm") % {"name": organization.name}
    form = TypedNameForm(organization.name, label, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        close_organization(organization, user_of(request), request.build_absolute_uri(reverse("accounts:organization")))
        return redirect("accounts:organization")
    context = {"form": form, "organization": organization, "days": grace().days}
    return render(request, "accounts/close_organization.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def keep(request: HttpRequest) -> HttpResponse:
    """Take the request for erasure back."""
    organization = _owned(request)
    if organization.erase_at is not None:
        keep_organization(organization, user_of(request))
        messages.success(request, _("The organization stays."))
    return redirect("accounts:organization")


def _owned(request: HttpRequest) -> Organization:
    viewer = viewer_of(request)
    organization = access_organization(viewer)
    require_owning(viewer)
    return organization
