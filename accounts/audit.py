"""The audit log: one row per act that matters, written in the transaction of the act."""

from collections.abc import Iterator
from contextlib import contextmanager

from accounts.models import AuditEntry, User
from accounts.scoping import unfenced

SYSTEM = "system"


def record(
    action: str,
    *,
    user: User | None = None,
    organization_id: int | None = None,
    actor: str = "",
    **details: str | int | bool | None,
) -> AuditEntry:
    """Write down one act.

    Args:
        action: dotted name of the act, such as `member.removed`.
        user: the person who acted; None for the system, whose part is then named by `actor`.
        organization_id: the tenant it concerns, whose scope must be entered; None for acts outside all of them,
            which take `acting_as(user)` or operator work.
        actor: who acted, in words; by default the user's address.
        details: plain facts; no secrets, because the log is for ever.
    """
    who = actor or (user.email if user else SYSTEM)
    entry = AuditEntry(action=action, user=user, organization_id=organization_id, actor=who, details=details)
    entry.save(force_insert=True)
    return entry


@contextmanager
def operator_work(actor: User | str, reason: str) -> Iterator[None]:
    """Open both walls for work across tenants, on the record.

    Args:
        actor: the operator, or the name of the system's part that works (`task:privacy`).
        reason: what for; stored, so the caller says it in words.
    """
    user = actor if isinstance(actor, User) else None
    with unfenced():
        record("operator.work", user=user, actor=str(actor), reason=reason)
        yield
