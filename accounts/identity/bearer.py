"""Access tokens: who presents one is signed in for this request, under the same fence as with a cookie."""

from collections.abc import Callable
from contextlib import suppress

from allauth.headless.tokens.strategies.jwt import internal as tokens
from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.http import HttpRequest, HttpResponse, JsonResponse

from accounts.identity.clocks import has_ended
from accounts.models import User

SCHEME = "bearer"
ROOT = "/api/v1/"
WITHOUT_TOKEN = frozenset({"/api/v1/auth/register", "/api/v1/auth/login", "/api/v1/auth/refresh"})
"""A client that sends its token along everywhere must still be able to get a new one."""


class BearerMiddleware:
    """Puts a token's user and session on the request before the tenant is entered; no cookie is read or set."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """A token that is not good is refused: its bearer asked to be somebody and must not pass as nobody."""
        token = presented(request)
        if token is None:
            return self.get_response(request)
        found = find_bearer(token)
        if found is None:
            return _refused(request)
        return self._answer(request, *found)

    def _answer(self, request: HttpRequest, user: User, session: SessionBase) -> HttpResponse:
        own = request.user, request.session
        request.user, request.session = user, session
        request.is_bearer = True  # type: ignore[attr-defined]  # read by `accounts.identity.rest`
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]  # Django's own name: there is no cookie
        try:
            response = self.get_response(request)
            if session.modified:
                with suppress(UpdateError):  # ended meanwhile, and must not come back
                    session.save()
        finally:
            request.user, request.session = own
        return response


def presented(request: HttpRequest) -> str | None:
    """The bearer token of a request to the REST API, None where it presents none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != SCHEME or not request.path.startswith(ROOT) or request.path in WITHOUT_TOKEN:
        return None
    return token.strip()


def find_bearer(token: str) -> tuple[User, SessionBase] | None:
    """The user and the session behind an access token; None where token, session or user is none any more."""
    payload = tokens.decode_token(token, "access")
    session = tokens.get_token_session(payload) if payload else None
    if session is None or has_ended(session):
        return None
    user = tokens.validate_token_user(payload, session)
    return (user, session) if isinstance(user, User) else None


def _refused(request: HttpRequest) -> HttpResponse:
    facts = {
        "detail": "the access token is wrong, has expired or its session has ended: refresh it or sign in again",
        "code": "token_invalid",
        "request_id": getattr(request, "request_id", ""),
    }
    return JsonResponse(facts, status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
