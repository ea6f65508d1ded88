"""What every request carries: an id in the log, the answer and the error page."""

import re
import time
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

log = structlog.get_logger(__name__)

_SAFE_ID = re.compile(r"[A-Za-z0-9-]{8,64}")


class RequestContextMiddleware:
    """Binds `request_id` to the log and answers it as X-Request-ID; a caller's own id is kept when it is harmless."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Bind, answer, unbind."""
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _SAFE_ID.fullmatch(given) else uuid.uuid4().hex
        request.request_id = request_id  # type: ignore[attr-defined]  # Django has no slot for it
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            started = time.perf_counter()
            response = self.get_response(request)
            took_ms = round((time.perf_counter() - started) * 1000, 1)
            log.info("request", method=request.method, path=request.path, status=response.status_code, ms=took_ms)
        response["X-Request-ID"] = request_id
        return response
