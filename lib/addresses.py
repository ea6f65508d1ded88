"""Which addresses on the net may be connected to: public ones, and the networks that an operator named."""

import ipaddress
import socket
from collections.abc import Sequence

from lib.errors import CandorError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""Stands for an IPv4 address behind a translator."""


class ForbiddenAddress(CandorError):
    """A host that stands for an address which must not be connected to."""


def allowed_address(host: str, port: int, networks: Sequence[str] = ()) -> str:
    """The first address of `host`, if all of them may be connected to.

    Connect to what is returned, not to the name: a name may stand for another address a moment later.

    Args:
        host: a name or an address in any notation that the resolver takes.
        port: as for `getaddrinfo`.
        networks: networks beside the public net, such as `10.0.0.0/8`.

    Raises:
        ForbiddenAddress: unknown, or at least one of its addresses is private, local or reserved.
    """
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise ForbiddenAddress(f"host {host!r} is not known ({error})", permanent=False) from error
    for text in found:
        if not _may(ipaddress.ip_address(text.partition("%")[0]), networks):
            raise ForbiddenAddress(f"host {host!r} is at {text}, which is not on the public net")
    return found[0]


def _may(address: Address, networks: Sequence[str]) -> bool:
    inner = _inner(address)
    if inner is not None:
        return _may(inner, networks)
    if any(address in ipaddress.ip_network(network) for network in networks):
        return True
    site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local  # fec0::/10 passes for global
    return address.is_global and not (address.is_multicast or address.is_reserved or site_local)


def _inner(address: Address) -> Address | None:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
