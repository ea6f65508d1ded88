"""What every template may read."""

from typing import Any

from django.http import HttpRequest

from markets.runs import current_run


def site(request: HttpRequest) -> dict[str, Any]:
    """The market the pages show, the viewer, who looks as somebody else, and the id that an error page prints."""
    return {
        "run": current_run(),
        "viewer": getattr(request, "viewer", None),
        "impersonation": getattr(request, "impersonation", None),
        "request_id": getattr(request, "request_id", ""),
    }
