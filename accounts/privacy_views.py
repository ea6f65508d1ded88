"""Pages about one's own data: copies of it, and its end."""

from typing import cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.access import access_export, access_exports, access_organization, require_owning, viewer_of
from accounts.erasing import close_account, grace, keep_account, kept_back_by
from accounts.errors import PrivacyError
from accounts.export_files import LASTS, ask_export, folder, note_download
from accounts.forms import TypedNameForm
from accounts.impersonating import end_impersonation, present_impersonation
from accounts.models import DataExport, Organization, Role
from accounts.pages import GET_AND_POST, user_of
from accounts.reauthentication import reauthenticated
from accounts.tasks import start_export
from lib.clock import wall_now

SHOWN_EXPORTS = 10


@login_required
@require_GET
def privacy(request: HttpRequest) -> HttpResponse:
    """Copies of one's data, and the way to close the account."""
    return _page(request)


def _page(request: HttpRequest, problem: str = "") -> HttpResponse:
    viewer = viewer_of(request)
    context = {
        "exports": access_exports(viewer)[:SHOWN_EXPORTS],
        "owned": access_organization(viewer) if viewer.role == Role.OWNER else None,
        "ready": DataExport.State.READY,
        "days": LASTS.days,
        "grace": grace().days,
        "problem": problem,
    }
    return render(request, "accounts/privacy.html", context, status=422 if problem else 200)


@require_POST
@reauthenticated("accounts:privacy")
def export(request: HttpRequest) -> HttpResponse:
    """Ask for a copy of all about oneself, or of all about the organization one owns."""
    of: Organization | None = None
    if request.POST.get("of") == "organization":
        of = access_organization(viewer_of(request))
        require_owning(viewer_of(request))
    try:
        start_export(ask_export(user_of(request), of))
    except PrivacyError as error:
        return _page(request, str(error))
    messages.success(request, _("The copy is being made. It will appear on this page."))
    return redirect("accounts:privacy")


@reauthenticated("accounts:privacy")
@require_GET
def download(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One copy, for who asked for it."""
    found = access_export(viewer_of(request), pk, wall_now())
    path = folder() / found.file_name
    if not path.exists():
        raise Http404
    note_download(found, user_of(request))
    name = f"candor-{'organization' if found.organization_id else 'account'}-{found.created_at:%Y-%m-%d}.zip"
    file = FileResponse(path.open("rb"), as_attachment=True, filename=name, content_type="application/zip")
    return cast("HttpResponse", file)  # the stubs keep them apart, Django does not


@reauthenticated("accounts:close-account")
@require_http_methods(GET_AND_POST)
def close(request: HttpRequest) -> HttpResponse:
    """Ask for one's own erasure."""
    user = user_of(request)
    label = _("Type your address, “%(email)s”, to confirm") % {"email": user.email}
    form = TypedNameForm(user.email, label, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            close_account(user, request.build_absolute_uri(reverse("accounts:privacy")))
            return redirect("accounts:privacy")
        except PrivacyError as error:
            form.add_error(None, str(error))
    context = {"form": form, "days": grace().days, "kept_back_by": kept_back_by(user)}
    return render(request, "accounts/close_account.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def keep(request: HttpRequest) -> HttpResponse:
    """Take the request for erasure back."""
    user = user_of(request)
    if user.erase_at is not None:
        keep_account(user)
        messages.success(request, _("Your account stays."))
    return redirect("accounts:privacy")


@login_required
@require_POST
def stop_impersonating(request: HttpRequest) -> HttpResponse:
    """Back to the operator's own view; nobody else has anything to end."""
    if present_impersonation(request.session) is None:
        raise Http404
    end_impersonation(request.session, user_of(request))
    return redirect("admin:index")
