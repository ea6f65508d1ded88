"""The organization's audit log, for its owners and admins."""

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.access import access_audit, viewer_of
from accounts.audit_reading import csv_of, filtered
from accounts.forms import AuditFilter
from accounts.models import AuditEntry

ROWS_PER_PAGE = 50


@login_required
@require_GET
def audit(request: HttpRequest) -> HttpResponse:
    """A page of the log, filtered by who, what and when."""
    form, entries = _asked(request)
    page = Paginator(entries, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    query = request.GET.copy()
    query.pop("page", None)
    context = {"form": form, "page": page, "query": query.urlencode()}
    return render(request, "accounts/audit.html", context, status=200 if form.is_valid() else 422)


@login_required
@require_GET
def audit_file(request: HttpRequest) -> HttpResponse:
    """The filtered log as CSV."""
    form, entries = _asked(request)
    if not form.is_valid():
        return audit(request)
    response = HttpResponse(csv_of(entries), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="candor-audit.csv"'
    return response


def _asked(request: HttpRequest) -> tuple[AuditFilter, QuerySet[AuditEntry]]:
    entries = access_audit(viewer_of(request))
    form = AuditFilter(entries, request.GET)
    wanted = form.cleaned_data if form.is_valid() else {"who": None, "action": "", "since": None, "until": None}
    return form, filtered(entries, **wanted)
