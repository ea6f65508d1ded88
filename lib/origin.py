"""From where the present request came: who asks is the session's business, where from and under which id is kept here.

Middleware enters it, the audit log reads it; tasks and commands have none.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


@dataclass(frozen=True, slots=True)
class Origin:
    """Address of the client, None where there is none, and the request's id."""

    ip: str | None = None
    request_id: str = ""


_NOWHERE = Origin()
_present: ContextVar[Origin] = ContextVar("origin", default=_NOWHERE)


def origin() -> Origin:
    """The present request's origin; an empty one outside a request."""
    return _present.get()


@contextmanager
def coming_from(ip: str | None, request_id: str) -> Iterator[None]:
    """Hold the origin for as long as one request is answered."""
    token = _present.set(Origin(ip, request_id))
    try:
        yield
    finally:
        _present.reset(token)


def client_ip(peer: str, forwarded: str, trusted: Sequence[str]) -> str | None:
    """The client's address.

    Args:
        peer: the address that the connection came from.
        forwarded: `X-Forwarded-For`; anybody can write one, so it counts only where `trusted` names the peer.
        trusted: networks of our own proxies, such as `10.0.0.0/8`.

    Returns:
        The last address before our own proxies, or None where the peer has no address (a Unix socket).
    """
    found = _address(peer)
    hops = [word.strip() for word in forwarded.split(",") if word.strip()]
    while found is not None and hops and within(str(found), trusted):
        before = _address(hops.pop())
        if before is None:
            break
        found = before
    return None if found is None else str(found)


def within(ip: str | None, networks: Sequence[str]) -> bool:
    """Whether an address lies in one of the networks."""
    found = _address(ip or "")
    return found is not None and any(found in ip_network(network, strict=False) for network in networks)


def _address(word: str) -> IPv4Address | IPv6Address | None:
    """One spelling for one address; an IPv4 address in IPv6 clothes is an IPv4 address."""
    try:
        found = ip_address(word.strip())
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
