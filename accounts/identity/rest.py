"""What REST framework and the API description know of access tokens; `accounts.identity.bearer` does the work."""

from typing import TYPE_CHECKING, Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.models import User

if TYPE_CHECKING:  # at run time this would load the REST settings, which name this module
    from drf_spectacular.openapi import AutoSchema


class BearerAuthentication(BaseAuthentication):
    """Tells REST framework what the middleware found."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        """The token's user; None where no token was presented."""
        user = request._request.user
        return (user, None) if getattr(request._request, "is_bearer", False) and isinstance(user, User) else None

    def authenticate_header(self, request: Request) -> str:
        """What a 401 asks for."""
        return "Bearer"


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers subclasses, untyped
    """The scheme in the OpenAPI description."""

    target_class = "accounts.identity.rest.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: "AutoSchema") -> dict[str, Any]:
        """A JWT in the Authorization header."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
