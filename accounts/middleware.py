"""Each request runs in one transaction, inside its tenant; the console is there for operators only."""

from collections.abc import Callable
from contextlib import ExitStack

from django.conf import settings
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse

from accounts.access import SESSION_ORGANIZATION, VISITOR, find_viewer
from accounts.audit import operator_work
from accounts.impersonating import Impersonation, end_impersonation, present_impersonation
from accounts.models import User
from accounts.scoping import acting_as, scope_to
from lib.clock import wall_now
from lib.origin import origin, within

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
REFUSED = 400
UNAUTHORIZED = 401
AS_ONESELF = ("account_logout", "accounts:end-impersonation")
"""Routes that an impersonating operator uses as themselves."""
CLOSED = ("/accounts/", "/privacy/", "/_allauth/", "/api/v1/auth/")
"""Where a person's own secrets and data are: not for an operator who looks as them."""


class TenantMiddleware:
    """Sets `request.viewer` and enters the viewer's organization; a refused or failed request changes nothing.

    A streamed answer is produced after the transaction and sees no tenant's rows: gather them first.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request; visitors who only read need no transaction."""
        request.viewer = VISITOR  # type: ignore[attr-defined]  # read through access.viewer_of
        user = request.user
        in_console = request.path.startswith(admin_root())
        if not isinstance(user, User):
            if in_console:
                raise Http404
            return self.get_response(request) if request.method in SAFE else self._answer(request)
        seen_as = _impersonation(request, user)
        if seen_as is not None:
            return self._answer_as(request, user, seen_as)
        with acting_as(user.pk), ExitStack() as stack:
            viewer = find_viewer(user, request.session.get(SESSION_ORGANIZATION))
            request.viewer = viewer  # type: ignore[attr-defined]  # as above
            if in_console and not (viewer.operator and _from_operators_network()):
                raise Http404
            if viewer.organization_id is not None:
                stack.enter_context(scope_to(viewer.organization_id))
            if in_console:
                stack.enter_context(operator_work(user, f"admin {request.method} {request.path}"))
            return self._answer(request)

    def _answer_as(self, request: HttpRequest, operator: User, seen_as: Impersonation) -> HttpResponse:
        """What another person would see, to read only."""
        user = User.objects.filter(pk=seen_as.user_id, is_active=True, is_staff=False).first()
        if user is None:
            end_impersonation(request.session, operator, "the account was switched off")
            raise Http404
        request.user = user
        request.impersonation = {"operator": operator, "user": user, "until": seen_as.until}  # type: ignore[attr-defined]  # for the banner
        if request.path.startswith(admin_root()):
            raise Http404
        with acting_as(user.pk), ExitStack() as stack:
            viewer = find_viewer(user, seen_as.organization_id)
            request.viewer = viewer  # type: ignore[attr-defined]  # as above
            if viewer.organization_id is not None:
                stack.enter_context(scope_to(viewer.organization_id))
            if request.method not in SAFE or request.path.startswith(CLOSED):
                return render(request, "accounts/impersonation_refused.html", {"status": 403}, status=403)
            return self._answer(request)

    def _answer(self, request: HttpRequest) -> HttpResponse:
        with transaction.atomic():
            response = self.get_response(request)
            if response.status_code >= REFUSED and not _goes_on(request, response):
                transaction.set_rollback(True)
        return response


def _impersonation(request: HttpRequest, user: User) -> Impersonation | None:
    """As whom an operator's session looks now; what is over is ended on the record."""
    present = present_impersonation(request.session) if user.is_staff else None
    if present is None or request.path in {reverse(name) for name in AS_ONESELF}:
        return None
    if present.is_over(wall_now()):
        end_impersonation(request.session, user, "its time was over")
        return None
    return present


def _from_operators_network() -> bool:
    return not settings.CONSOLE_NETWORKS or within(origin().ip, settings.CONSOLE_NETWORKS)


def _goes_on(request: HttpRequest, response: HttpResponse) -> bool:
    """Whether a 401 means "one more step": allauth's own API answers so between password and second factor."""
    return response.status_code == UNAUTHORIZED and hasattr(getattr(request, "allauth", None), "headless")


def admin_root() -> str:
    """Where the console begins."""
    try:
        return reverse("admin:index")
    except NoReverseMatch:
        return "/admin/"
