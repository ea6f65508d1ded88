"""The REST API under /api/v1: each app's own routes, one error shape, the OpenAPI pages."""

from typing import Any

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.response import Response
from rest_framework.views import exception_handler

from lib.errors import CandorError


def problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's handler, with our own errors as 400 and the request id in every error body."""
    if isinstance(error, CandorError):
        response: Response | None = Response({"detail": str(error)}, status=400)
    else:
        response = exception_handler(error, context)
    if response is not None and isinstance(response.data, dict):
        response.data["request_id"] = getattr(context["request"], "request_id", "")
    return response


urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("accounts.api")),
    path("", include("accounts.auth_api")),
    path("", include("markets.api")),
    path("", include("signals.api")),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
]

docs = SpectacularSwaggerView.as_view(url_name="api:schema")
