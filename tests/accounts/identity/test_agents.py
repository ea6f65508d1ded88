"""Browsers are called what people call them."""

import pytest

from accounts.templatetags.agents import agent

GECKO, WEBKIT = "Gecko/20100101 Firefox/140.0", "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) {GECKO}", "Firefox on Windows"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} Chrome/150.0 Safari/537.36", "Chrome on Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0) {WEBKIT} Chrome/150.0 Safari/537.36 Edg/150.0", "Edge on Windows"),
        (f"Mozilla/5.0 (Linux; Android 16) {WEBKIT} Chrome/150.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1", "Safari on iPhone"),
        ("python-httpx/0.28", "python-httpx/0.28"),
        ("x" * 200, "x" * 40),
        ("", "A program without a name"),
    ],
)
def test_a_browser_has_a_name(text: str, name: str) -> None:
    assert agent(text) == name
