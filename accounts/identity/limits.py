"""What becomes of who tries too often: the answer says when to come back, and the account's owner can read of it."""

from typing import NoReturn

import structlog
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.ratelimit import respond_429
from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest

from accounts.audit import record
from accounts.models import User
from accounts.scoping import acting_as
from lib.origin import origin

RETRY_AFTER_S = 300
"""The longest of the sign-in limits' periods that a person has to sit out (docs/security.md)."""

log = structlog.get_logger(__name__)


def refuse(request: HttpRequest, login: str) -> NoReturn:
    """Answer 429 to a sign-in that is not looked at any more, whether there is such an account or not."""
    request.limited_login = login  # type: ignore[attr-defined]  # read by `trace`, after the rollback
    request.retry_after_s = RETRY_AFTER_S  # type: ignore[attr-defined]  # read by the 429 page
    raise ImmediateHttpResponse(respond_429(request))


def trace(request: HttpRequest) -> None:
    """Write a refused sign-in into the audit log, once a period; call it outside the request's transaction."""
    login = getattr(request, "limited_login", "").lower()
    if not login:
        return
    log.warning("sign_in_limited", ip=origin().ip)
    user = User.objects.filter(email=login).first()
    if user is not None and cache.add(f"candor:limited:{user.pk}", 1, timeout=RETRY_AFTER_S):
        with transaction.atomic(), acting_as(user.pk):
            record("sign_in.limited", user=user)
