"""Scripted misbehaviour of the API, for tests of those who call it."""

from dataclasses import dataclass, field
from fnmatch import fnmatch

DOWN = "down"  # the connection ends before anything is done
STATUS = "status"  # an error answer, and nothing is done
SLOW = "slow"  # done and answered, after `delay_s`
HANG = "hang"  # silence for `delay_s`, then the connection ends; nothing is done
LOST = "lost"  # done, but the connection ends before the answer
HANG_AFTER = "hang_after"  # done, then silence for `delay_s`, then the connection ends
KINDS = (DOWN, STATUS, SLOW, HANG, LOST, HANG_AFTER)
MESSAGES = {
    429: ("rate_limit", "Request rate limit exceeded.", "invalid_request_error"),
    409: (
        "lock_timeout",
        "This object cannot be accessed right now because another request is using it.",
        "invalid_request_error",
    ),
}


@dataclass
class Fault:
    """One rule: the next `times` requests that fit go wrong; `times` below 0 means all."""

    kind: str
    method: str = "*"
    path: str = "*"
    times: int = 1
    status: int = 500
    delay_s: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no fault: use one of {', '.join(KINDS)}")

    def envelope(self) -> dict[str, object]:
        """The body of the error answer."""
        code, message, kind = MESSAGES.get(self.status, (None, "An unknown error occurred.", "api_error"))
        return {"error": {"type": kind, "message": message} | ({"code": code} if code else {})}


@dataclass
class Faults:
    """The rules in force, first come first served."""

    rules: list[Fault] = field(default_factory=list)
    met: int = 0

    def take(self, method: str, path: str) -> Fault | None:
        """The fault of this request, used up by one."""
        for rule in self.rules:
            if rule.times != 0 and fnmatch(method, rule.method) and fnmatch(path, rule.path):
                rule.times -= 1
                self.met += 1
                return rule
        return None
