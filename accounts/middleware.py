"""Each request runs in one transaction, inside its tenant."""

from collections.abc import Callable
from contextlib import ExitStack

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse

from accounts.access import SESSION_ORGANIZATION, VISITOR, find_viewer
from accounts.audit import operator_work
from accounts.models import User
from accounts.scoping import acting_as, scope_to

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
REFUSED = 400
UNAUTHORIZED = 401


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
        if not isinstance(user, User):
            return self.get_response(request) if request.method in SAFE else self._answer(request)
        with acting_as(user.pk), ExitStack() as stack:
            viewer = find_viewer(user, request.session.get(SESSION_ORGANIZATION))
            request.viewer = viewer  # type: ignore[attr-defined]  # as above
            if viewer.organization_id is not None:
                stack.enter_context(scope_to(viewer.organization_id))
            if viewer.operator and request.path.startswith(admin_root()):
                stack.enter_context(operator_work(user, f"admin {request.method} {request.path}"))
            return self._answer(request)

    def _answer(self, request: HttpRequest) -> HttpResponse:
        with transaction.atomic():
            response = self.get_response(request)
            if response.status_code >= REFUSED and not _goes_on(request, response):
                transaction.set_rollback(True)
        return response


def _goes_on(request: HttpRequest, response: HttpResponse) -> bool:
    """Whether a 401 means "one more step": allauth's own API answers so between password and second factor."""
    return response.status_code == UNAUTHORIZED and hasattr(getattr(request, "allauth", None), "headless")


def admin_root() -> str:
    """Where the console begins."""
    try:
        return reverse("admin:index")
    except NoReverseMatch:
        return "/admin/"
