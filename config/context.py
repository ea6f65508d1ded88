"""What every template may read."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from billing.gateway import enabled
from billing.notices import banner_notice
from markets.runs import current_run


def site(request: HttpRequest) -> dict[str, Any]:
    """The market the pages show, the viewer and their unpaid bills, who looks as whom, an error page's id."""
    viewer, in_billing = getattr(request, "viewer", None), request.path.startswith("/billing/")
    return {
        "run": current_run(),
        "viewer": viewer,
        "sells": enabled(),
        # Asked for by the frame of pages alone: mails are rendered with this too, after the tenant was left.
        "money_notice": SimpleLazyObject(lambda: None if in_billing else banner_notice(viewer)),
        "impersonation": getattr(request, "impersonation", None),
        "request_id": getattr(request, "request_id", ""),
    }
