"""Between the session and the tenant: limits of sessions, and doors that ask for a second factor."""

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.access import viewer_of
from accounts.identity.clocks import has_ended, touch
from accounts.identity.factors import has_mfa
from accounts.identity.limits import trace
from accounts.identity.sessions import note_use
from accounts.middleware import admin_root
from accounts.models import User

Answer = Callable[[HttpRequest], HttpResponse]

WITHOUT_MFA = (
    "/accounts/",
    "/_allauth/",
    "/api/v1/auth/",
    "/organization/switch/",
    "/terms/",
    "/disclaimer/",
    "/settings",
)
"""What stays open to a member whose organization asks for a second factor they have not set up."""


class LimitTraceMiddleware:
    """Writes down a refused sign-in after its request was rolled back."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer first."""
        response = self.get_response(request)
        trace(request)
        return response


class SessionLimitMiddleware:
    """Ends a session that was left alone for too long or is too old, and notes the use of one that is not."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """A session that has ended makes a visitor."""
        if isinstance(request.user, User):
            if has_ended(request.session):
                logout(request)
            elif touch(request.session):
                note_use(request.session)
        return self.get_response(request)


class ConsoleMiddleware:
    """Lets operators into the console with a second factor only (CONSOLE_MFA)."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Send an operator without one to the page that sets it up."""
        at_door = settings.CONSOLE_MFA and request.path.startswith(admin_root())
        if at_door and isinstance(request.user, User) and request.user.is_staff and not has_mfa(request.user):
            return HttpResponseRedirect(reverse("mfa_index"))
        return self.get_response(request)


class RequiredMfaMiddleware:
    """Holds a member back whose organization asks for a second factor, until they have one."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pages lead to the set-up, the API answers 403."""
        if not viewer_of(request).mfa_missing or request.path.startswith(WITHOUT_MFA):
            return self.get_response(request)
        if not request.path.startswith("/api/"):
            return HttpResponseRedirect(reverse("mfa_index"))
        detail = _("Your organization asks for a second factor: set one up under /accounts/2fa/, then try again.")
        facts = {"detail": detail, "code": "mfa_required", "request_id": getattr(request, "request_id", "")}
        return JsonResponse(facts, status=403)
