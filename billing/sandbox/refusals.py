"""The answers that are no: Stripe's error envelope (docs.stripe.com/api/errors) as an exception."""

from typing import Any

from lib.errors import CandorError


class Refused(CandorError):
    """A request the API refuses.

    Args:
        message: what is wrong, for people.
        status: the HTTP status.
        kind: `type` of the envelope; `invalid_request_error`, `card_error`, `idempotency_error` or `api_error`.
        code: the machine-readable reason.
        param: the parameter that is wrong, written as the form names it (`items[0][price]`).
        extra: further fields of the envelope, such as `decline_code`.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, permanent=status < 500)
        self.status, self.kind, self.code, self.param, self.extra = status, kind, code, param, extra or {}

    def envelope(self) -> dict[str, Any]:
        """The JSON body of the answer."""
        error = {"type": self.kind, "message": str(self), **self.extra}
        if self.code:
            error |= {
                "code": self.code,
                "doc_url": f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}",
            }
        if self.param:
            error["param"] = self.param
        return {"error": error}


def missing(kind: str, row_id: str, param: str = "id") -> Refused:
    """The object is not there."""
    return Refused(f"No such {kind}: '{row_id}'", status=404, code="resource_missing", param=param)


def declined(decline_code: str, message: str = "Your card was declined.", *, code: str = "card_declined") -> Refused:
    """The bank said no."""
    return Refused(message, status=402, kind="card_error", code=code, extra={"decline_code": decline_code})
