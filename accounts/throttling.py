"""The plan's API limits, on every route under /api/v1, and the headers that tell of them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.access import viewer_of
from accounts.plans import Plan
from lib.ratelimit import Bucket, Decision, take

if TYPE_CHECKING:
    from rest_framework.views import APIView  # it reads the settings that name this module

DAY_S = 86_400.0
MINUTE_S = 60.0


def buckets_of(plan: Plan) -> tuple[Bucket, Bucket]:
    """The two limits of a plan; a plan's name is part of theirs, so that a better plan begins with full buckets."""
    return (
        Bucket(f"minute:{plan.key}", plan.api_minute, MINUTE_S),
        Bucket(f"day:{plan.key}", plan.api_day, DAY_S),
    )


class PlanThrottle(BaseThrottle):
    """Counts a call against the caller's organization; a visitor, against their address."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        """Whether the call is within the plan."""
        viewer = viewer_of(request)
        if viewer.organization_id is not None:
            who = f"organization:{viewer.organization_id}"
        else:
            who = f"address:{get_adapter().get_client_ip(request._request)}"
        self.decision = take(settings.REDIS_URL, who, buckets_of(viewer.plan))
        request._request.rate_decision = self.decision  # type: ignore[attr-defined]  # for the middleware below
        return self.decision.passed

    def wait(self) -> float | None:
        """Seconds until a refused call may come back."""
        return float(self.decision.retry_after_s)


class RateHeadersMiddleware:
    """Puts what `PlanThrottle` counted on the answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, with the headers where a limit was counted."""
        response = self.get_response(request)
        decision: Decision | None = getattr(request, "rate_decision", None)
        if decision is not None:
            for name, value in decision.headers.items():
                response[name] = value
        return response
