"""One document from an operator's address: small, soon, unpacked, and from where an operator allows.

The name is resolved once and that address is connected to, so a name cannot mean one host when it is checked and
another when it is used; each redirect is checked the same way. The library is a worker's: it is imported on use.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from lib.addresses import ForbiddenAddress, allowed_address
from markets.intelligence.items import LONGEST, FeedError

if TYPE_CHECKING:
    import httpx2

TOTAL_S = 20.0
"""The whole document has to be there by then: a drip of bytes gains nothing."""
STEP_S = 8.0
"""For connecting, and between two pieces."""
REDIRECTS = 3
AGENT = "Candor (headline reader)"
MOVED = frozenset({301, 302, 303, 307, 308})
OK, NOT_MODIFIED, TOO_MANY = 200, 304, 429
GONE = frozenset({401, 403, 404, 410})
"""Trying again does not help."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document and what to send next time; `body` is None where it has not changed."""

    body: bytes | None
    etag: str = ""
    modified: str = ""


def fetch(
    url: str, *, etag: str = "", modified: str = "", networks: Sequence[str] = (), total_s: float = TOTAL_S
) -> Fetched:
    """The document at `url`, unless it is the one of `etag` or `modified`.

    Args:
        url: http or https, without a user name.
        etag, modified: as they came with the document that is known.
        networks: private networks that may be connected to.
        total_s: seconds for everything.

    Raises:
        FeedError: not allowed, not there, too large, too slow, or packed. The error names the host only: an address
            may hold a key.
    """
    import httpx2

    until = time.monotonic() + total_s
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    headers |= ({"If-None-Match": etag} if etag else {}) | ({"If-Modified-Since": modified} if modified else {})
    timeout = httpx2.Timeout(STEP_S)
    with httpx2.Client(follow_redirects=False, trust_env=False, timeout=timeout, headers=headers) as client:
        for _ in range(REDIRECTS + 1):
            host = _host(url)
            try:
                answer = _get(client, url, networks, until)
            except httpx2.TimeoutException as error:
                raise FeedError(f"{host} takes too long", permanent=False) from error
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                raise FeedError(f"{host} cannot be reached ({type(error).__name__})", permanent=False) from error
            if isinstance(answer, Fetched):
                return answer
            url = _next(url, answer)
    raise FeedError(f"{_host(url)} redirects more than {REDIRECTS} times: name the address it leads to")


def _host(url: str) -> str:
    return urlsplit(url).hostname or "the address"


def _get(client: "httpx2.Client", url: str, networks: Sequence[str], until: float) -> Fetched | str:
    """The document, or where it has moved."""
    request = _request(client, url, networks)
    response = client.send(request, stream=True)
    try:
        if response.status_code in MOVED:
            return str(response.headers.get("location", ""))
        if response.status_code == NOT_MODIFIED:
            return Fetched(None)
        _check(response, _host(url))
        body = _body(response, _host(url), until)
        return Fetched(body, response.headers.get("etag", "")[:300], response.headers.get("last-modified", "")[:100])
    finally:
        response.close()


def _request(client: "httpx2.Client", url: str, networks: Sequence[str]) -> "httpx2.Request":
    """A request to the address that was checked, for the name that was asked for."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise FeedError("the address has to be http:// or https:// with a host and without a user name")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        at = allowed_address(parts.hostname, port, networks)
    except ForbiddenAddress as error:
        hint = "" if not error.permanent else ": FEED_NETWORKS names private networks that may be read"
        raise FeedError(f"{error}{hint}", permanent=error.permanent) from error
    except ValueError as error:
        raise FeedError(f"{parts.hostname} has no such port") from error
    request = client.build_request("GET", url, extensions={"sni_hostname": parts.hostname})
    request.url = request.url.copy_with(host=at)  # the Host header keeps the name
    return request


def _check(response: "httpx2.Response", host: str) -> None:
    status = response.status_code
    if status != OK:
        raise FeedError(f"{host} answered with status {status}", permanent=status in GONE)
    if response.headers.get("content-encoding", "identity") != "identity":
        raise FeedError(f"{host} sends the document packed although it was asked not to")


def _body(response: "httpx2.Response", host: str, until: float) -> bytes:
    pieces, size = [], 0
    for piece in response.iter_raw():
        size += len(piece)
        if size > LONGEST:
            raise FeedError(f"{host} sends more than {LONGEST:,} bytes")
        if time.monotonic() > until:
            raise FeedError(f"{host} takes too long", permanent=False)
        pieces.append(piece)
    return b"".join(pieces)


def _next(url: str, location: str) -> str:
    """Where a redirect leads, never from https to http."""
    if not location:
        raise FeedError(f"{_host(url)} redirects to nowhere", permanent=False)
    target = urljoin(url, location)
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
        raise FeedError(f"{_host(url)} redirects from https to http, which is not followed")
    return target
