"""From where a request came: what a client says about it counts only behind our own proxies (S23, S25, S37)."""

import pytest

from lib.origin import client_ip, coming_from, origin, within


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "found"),
    [
        ("192.0.2.1", "", [], "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", [], "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", ["10.0.0.0/8"], "192.0.2.1"),
        ("10.0.0.5", "203.0.113.9", ["10.0.0.0/8"], "203.0.113.9"),
        ("10.0.0.5", "6.6.6.6, 203.0.113.9", ["10.0.0.0/8"], "203.0.113.9"),
        ("10.0.0.5", "6.6.6.6, 203.0.113.9, 10.0.0.7", ["10.0.0.0/8"], "203.0.113.9"),
        ("10.0.0.5", "10.0.0.8, 10.0.0.7", ["10.0.0.0/8"], "10.0.0.8"),
        ("10.0.0.5", "", ["10.0.0.0/8"], "10.0.0.5"),
        ("10.0.0.5", "junk", ["10.0.0.0/8"], "10.0.0.5"),
        ("10.0.0.5", " , ,", ["10.0.0.0/8"], "10.0.0.5"),
        ("::ffff:10.0.0.5", "2001:db8::1", ["10.0.0.0/8"], "2001:db8::1"),
        ("", "203.0.113.9", ["10.0.0.0/8"], None),
        ("unix:", "203.0.113.9", [], None),
    ],
)
def test_the_address_of_the_client(peer: str, forwarded: str, trusted: list[str], found: str | None) -> None:
    assert client_ip(peer, forwarded, trusted) == found


def test_an_origin_lasts_as_long_as_its_request() -> None:
    with coming_from("192.0.2.1", "outer"):
        with coming_from("192.0.2.2", "inner"):
            assert origin().request_id == "inner"
        assert (origin().ip, origin().request_id) == ("192.0.2.1", "outer")
    assert (origin().ip, origin().request_id) == (None, "")


@pytest.mark.parametrize(("ip", "inside"), [("10.1.2.3", True), ("11.0.0.1", False), (None, False), ("x", False)])
def test_within(ip: str | None, inside: bool) -> None:
    assert within(ip, ["10.0.0.0/8", "2001:db8::/32"]) is inside
