"""The site's addresses, and some that fail in every way a view can: for tests only."""

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import urls

SECRET = "a-secret-in-the-fault"  # a canary


def by_name(request: HttpRequest, fault: str) -> HttpResponse:
    """Fail as asked."""
    fail(fault)
    return HttpResponse()


class Faulty(APIView):
    """The same, in the API."""

    def get(self, request: Request, fault: str) -> Response:
        """Fail as asked."""
        fail(fault)
        return Response()


def fail(fault: str) -> None:
    if fault == "database":
        with connection.cursor() as cursor:
            cursor.execute("SELECT no_such_column FROM accounts_user")
    raise FAULTS[fault][0](SECRET)


FAULTS: dict[str, tuple[type[Exception], int]] = {
    "value": (ValueError, 500),
    "key": (KeyError, 500),
    "memory": (MemoryError, 500),
    "recursion": (RecursionError, 500),
    "database": (RuntimeError, 500),
    "denied": (PermissionDenied, 403),
    "absent": (Http404, 404),
    "suspicious": (SuspiciousOperation, 400),
}

urlpatterns = [
    path("faulty/<str:fault>/", by_name),
    path("api/v1/faulty/<str:fault>/", Faulty.as_view()),
    *urls.urlpatterns,
]
handler400, handler403, handler404, handler500 = urls.handler400, urls.handler403, urls.handler404, urls.handler500
