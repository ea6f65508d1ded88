"""What every request carries: an id in the log, the answer and the error page, and where it came from."""

import re
import time
import uuid
from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from lib.origin import client_ip, coming_from

log = structlog.get_logger(__name__)

_SAFE_ID = re.compile(r"[A-Za-z0-9-]{8,64}")


class RequestContextMiddleware:
    """Binds `request_id` to the log and answers it as X-Request-ID; a caller's own id is kept when it is harmless.

    The client's address is `request.client_ip`; what a client says about it counts only behind TRUSTED_PROXIES.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Bind, answer, unbind."""
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _SAFE_ID.fullmatch(given) else uuid.uuid4().hex
        peer, forwarded = request.META.get("REMOTE_ADDR", ""), request.headers.get("X-Forwarded-For", "")
        ip = client_ip(peer, forwarded, settings.TRUSTED_PROXIES)
        request.request_id, request.client_ip = request_id, ip  # type: ignore[attr-defined]  # Django has no slots for them
        with structlog.contextvars.bound_contextvars(request_id=request_id), coming_from(ip, request_id):
            started = time.perf_counter()
            response = self.get_response(request)
            took_ms = round((time.perf_counter() - started) * 1000, 1)
            log.info("request", method=request.method, path=request.path, status=response.status_code, ms=took_ms)
        response["X-Request-ID"] = request_id
        return response


class PrivateCacheMiddleware:
    """What a signed-in person gets is theirs: no cache, shared or in the browser, may keep it (security row S33)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and mark the answer."""
        response = self.get_response(request)
        user = getattr(request, "user", None)
        kept_out = "no-store" in response.get("Cache-Control", "")
        if user is not None and user.is_authenticated and not kept_out:
            response["Cache-Control"] = "private, no-store"
        return response
