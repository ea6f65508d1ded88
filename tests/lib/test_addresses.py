"""Where a connection may lead: sixty ways to write an address that is nobody's business, and the public net."""

import pytest

from lib.addresses import ForbiddenAddress, allowed_address

FORBIDDEN = (
    # this machine
    "127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "0", "0.0.0.0", "2130706433", "0x7f000001", "0x7f.0.0.1",  # noqa: S104  # nothing is bound
    "017700000001", "0177.0.0.1", "localhost", "::1", "::", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "::ffff:7f00:1",
    "::127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:7f00:0001::1",
    # private networks
    "10.0.0.1", "10.1", "167772161", "0x0a000001", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.1",
    "3232235521", "0xc0a80001", "::ffff:10.0.0.1", "::ffff:192.168.0.1", "64:ff9b::10.0.0.1", "64:ff9b::c0a8:1",
    "2002:a00:1::", "2002:c0a8:1::", "fc00::1", "fd12:3456:789a::1", "fec0::1",
    # metadata of clouds, link local, carriers
    "169.254.169.254", "2852039166", "0xa9fea9fe", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::",
    "fe80::1", "100.64.0.1", "100.127.255.255",
    # reserved, documentation, tests, multicast, broadcast
    "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1",
    "255.255.255.255", "2001:db8::1", "ff02::1", "100::1",
)  # fmt: skip


@pytest.mark.parametrize("host", FORBIDDEN)
def test_what_is_not_public_is_refused(host: str) -> None:
    with pytest.raises(ForbiddenAddress):
        allowed_address(host, 80)


def test_the_table_is_long_enough() -> None:
    assert len(set(FORBIDDEN)) == len(FORBIDDEN) >= 60


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("93.184.216.34", "93.184.216.34"),
        ("1.1.1.1", "1.1.1.1"),
        ("16843009", "1.1.1.1"),
        ("2606:4700:4700::1111", "2606:4700:4700::1111"),
        ("64:ff9b::101:101", "64:ff9b::101:101"),
    ],
)
def test_public_addresses_are_what_is_connected_to(host: str, found: str) -> None:
    assert allowed_address(host, 443) == found


def test_networks_that_were_named_are_allowed_in_any_notation() -> None:
    assert allowed_address("10.1.2.3", 80, ["10.0.0.0/8"]) == "10.1.2.3"
    assert allowed_address("::ffff:10.1.2.3", 80, ["10.0.0.0/8"])
    assert allowed_address("fd00::5", 80, ["10.0.0.0/8", "fd00::/8"]) == "fd00::5"
    with pytest.raises(ForbiddenAddress):
        allowed_address("192.168.0.1", 80, ["10.0.0.0/8"])


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 300, "bad host", "xn--\udcff"])
def test_a_host_that_is_not_known_is_an_error_that_may_pass(host: str) -> None:
    with pytest.raises(ForbiddenAddress, match="is not known") as caught:
        allowed_address(host, 80)
    assert not caught.value.permanent
