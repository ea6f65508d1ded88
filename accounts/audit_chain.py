"""Whether an audit chain is whole: pure, values in and the first broken row out.

The database writes the same digests at commit (migration 0002_tenancy); this is the second, independent reading.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

START = "0" * 64
"""What the first row of a chain names as its previous hash."""


@dataclass(frozen=True, slots=True)
class Link:
    """One row as text, just as the database digests it."""

    chain: int
    number: int
    previous: str
    hash: str
    key: str
    at: str
    organization: str
    user: str
    actor: str
    action: str
    request_id: str
    details: str
    personal_sha256: str
    salt: str
    ip: str
    personal: str


@dataclass(frozen=True, slots=True)
class Break:
    """The first row that does not hold, and why."""

    chain: int
    number: int
    reason: str


def digest(*fields: str) -> str:
    """SHA-256 of the fields, each with its length in front so that no two lists of fields are one text."""
    text = "".join(f"{len(field.encode())}:{field}\n" for field in fields)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of(link: Link) -> str:
    """What the row's hash has to be."""
    place = (link.key, str(link.chain), str(link.number), link.previous)
    act = (link.at, link.organization, link.user, link.actor, link.action, link.request_id, link.details)
    return digest(*place, *act, link.personal_sha256)


def first_break(chain: int, links: Iterable[Link], head: tuple[int, str] | None) -> Break | None:
    """The first row that was changed, removed, added or moved; None where the chain is whole.

    Args:
        chain: its number, an organization's key or 0.
        links: its rows by ascending number.
        head: number and hash of the last row as the database keeps them apart from the rows.
    """
    number, before = 0, START
    for link in links:
        number += 1
        reason = _fault(link, number, before)
        if reason:
            return Break(chain, number, reason)
        before = link.hash
    if (number, before) != (head or (0, START)):
        return Break(chain, number + 1, f"the chain ends at row {number}, but row {(head or (0,))[0]} was written last")
    return None


def _fault(link: Link, number: int, before: str) -> str:
    if link.number != number:
        return f"row {number} is missing: row {link.number} follows row {number - 1}"
    if link.previous != before:
        return "the row does not name the hash of the row before it"
    if link.hash != digest_of(link):
        return "the row was changed after it was written"
    if link.salt and digest(link.salt, link.ip, link.personal) != link.personal_sha256:
        return "the row's personal facts were changed after it was written"
    if not link.salt and (link.ip or link.personal != "{}"):
        return "the row's personal facts were put back after they were erased"
    return ""
