"""Error pages: what happened, what to do, an id to quote. They query nothing: the database may be the fault."""

import math
import sys
from http import HTTPStatus

import structlog
from django.db import InterfaceError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import loader
from prometheus_client import Counter

READ_ONLY = "25006"  # PostgreSQL's code for a write that the server does not take
RETRY_AFTER_S = 5
API = "/api/v1/"
LIMIT_RETRY_AFTER_S = 60
UNAVAILABLE = Counter("candor_requests_unavailable_total", "Requests answered 503 for want of a database")
log = structlog.get_logger(__name__)

WORDS: dict[int, tuple[str, str]] = {
    400: ("This request could not be read", "Go back and try once more; if a form sent you here, fill it in again."),
    403: ("This is not yours to open", "Sign in with another account, or ask the owner of your organization."),
    404: ("There is no page here", "Check the address. A signal your plan delays appears here once its time has come."),
    429: ("Too many requests", "Wait a minute, then try again."),
    500: ("Something broke on our side", "It has been logged with the id below. Try again in a minute."),
    503: ("Candor is being looked after", "It will be back shortly; nothing you did is lost."),
}


def error_page(request: HttpRequest, status: int, remedy: str = "") -> HttpResponse:
    """The page of one status, with a remedy of its own where the usual one is not it; below /api/ as JSON."""
    title, usual = WORDS[status]
    if request.path.startswith(API):
        body = {"detail": f"{title}. {remedy or usual}", "request_id": getattr(request, "request_id", "")}
        return JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})
    context = {
        "status": int(status),
        "title": title,
        "remedy": remedy or usual,
        "request_id": getattr(request, "request_id", ""),
        "seen_by": request,
        "impersonation": getattr(request, "impersonation", None),
        "CSP_NONCE": getattr(request, "csp_nonce", ""),
    }
    return HttpResponse(loader.get_template("error.html").render(context), status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    return error_page(request, HTTPStatus.BAD_REQUEST)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    return error_page(request, HTTPStatus.FORBIDDEN)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    return error_page(request, HTTPStatus.NOT_FOUND)


def too_many(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """429; allauth's `handler429`. Who limits may say on the request how long it takes."""
    seconds = getattr(request, "retry_after_s", LIMIT_RETRY_AFTER_S)
    minutes = math.ceil(seconds / 60)
    remedy = f"Wait {minutes} minutes, then try again." if minutes > 1 else ""
    response = error_page(request, HTTPStatus.TOO_MANY_REQUESTS, remedy)
    response["Retry-After"] = str(seconds)
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """500; 503 where the database is away, full or read-only, which passes without anybody mending the page."""
    if not database_is_away(sys.exc_info()[1]):  # Django calls this while it handles the exception
        return error_page(request, HTTPStatus.INTERNAL_SERVER_ERROR)
    UNAVAILABLE.inc()
    log.error("database_away", path=request.path, error=str(sys.exc_info()[1])[:200])
    response = error_page(request, HTTPStatus.SERVICE_UNAVAILABLE)
    response["Retry-After"] = str(RETRY_AFTER_S)
    return response


def database_is_away(error: BaseException | None) -> bool:
    """Whether a request failed because PostgreSQL takes no connection or no write at the moment."""
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return isinstance(error, InternalError) and getattr(error.__cause__, "sqlstate", "") == READ_ONLY
