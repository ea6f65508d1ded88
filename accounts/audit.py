"""The audit log: one row per act that matters, written in the transaction of the act."""

import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from accounts.models import AuditEntry, User
from accounts.scoping import unfenced
from lib.origin import origin

SYSTEM = "system"
Fact = str | int | bool | None


def record(
    action: str,
    *,
    user: User | None = None,
    organization_id: int | None = None,
    actor: str = "",
    personal: Mapping[str, Fact] | None = None,
    **details: Fact,
) -> AuditEntry:
    """Write down one act, with the present request's address and id.

    Args:
        action: dotted name of the act, such as `member.removed`.
        user: the person who acted, kept as their number; None for the system, whose part is then named by `actor`.
        organization_id: the tenant it concerns, whose scope must be entered; None for acts outside all of them,
            which take `acting_as(user)` or operator work.
        actor: which part of the system acted, in words, such as `task:erasure`; no address.
        personal: facts that name somebody (addresses, names); they can be erased, and the chain stays whole.
        details: plain facts that are for ever: numbers, roles, plan keys, `before=` and `after=`; no secrets, and
            nothing that names a person.
    """
    present = origin()
    entry = AuditEntry(
        action=action,
        user=user,
        organization_id=organization_id,
        actor=one_line(actor) or (f"user:{user.pk}" if user else SYSTEM),
        details=_plain(details),
        personal=_plain(personal or {}),
        ip=present.ip,
        request_id=present.request_id,
    )
    entry.save(force_insert=True)
    return entry


def one_line(text: str) -> str:
    """The text without control characters: a name with a line break in it must not look like two rows."""
    return "".join(" " if unicodedata.category(sign) in {"Cc", "Zl", "Zp"} else sign for sign in text)


def _plain(facts: Mapping[str, Fact]) -> dict[str, Fact]:
    return {name: one_line(fact) if isinstance(fact, str) else fact for name, fact in facts.items()}


@contextmanager
def operator_work(actor: User | str, reason: str) -> Iterator[None]:
    """Open both walls for work across tenants, on the record.

    Args:
        actor: the operator, or the name of the system's part that works (`task:privacy`).
        reason: what for; stored, so the caller says it in words.
    """
    user = actor if isinstance(actor, User) else None
    with unfenced():
        record("operator.work", user=user, actor="" if isinstance(actor, User) else actor, reason=reason)
        yield
