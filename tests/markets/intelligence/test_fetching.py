"""Fetching one document over a real socket: what is allowed, what is too much, and what a redirect may not do."""

import gzip
import threading

import pytest

from markets.intelligence import FeedError
from markets.intelligence.fetching import REDIRECTS, Fetched, fetch
from markets.intelligence.items import LONGEST
from tests.feed_server import LOOPBACK, Answer, FeedServer, feed_server


def get(url: str, **options: object) -> Fetched:
    return fetch(url, networks=LOOPBACK, **options)  # type: ignore[arg-type]  # by name


def test_a_document_comes_with_what_to_send_next_time(feeds: FeedServer) -> None:
    stamp = {"ETag": '"v1"', "Last-Modified": "Fri, 02 Feb 2024 10:00:00 GMT"}
    url = feeds.at("/feed?key=secret", Answer(b"<rss/>", headers=stamp))
    found = get(url)
    assert (found.body, found.etag, found.modified) == (b"<rss/>", '"v1"', "Fri, 02 Feb 2024 10:00:00 GMT")
    _, headers = feeds.seen[0]
    assert headers["host"] == f"127.0.0.1:{feeds.port}"
    assert headers["accept-encoding"] == "identity"
    assert "cookie" not in headers
    assert "if-none-match" not in headers


def test_what_has_not_changed_is_not_read_again(feeds: FeedServer) -> None:
    def play(headers: dict[str, str]) -> Answer:
        known = (headers.get("if-none-match"), headers.get("if-modified-since"))
        return Answer(status=304) if known == ('"v1"', "yesterday") else Answer(b"new")

    url = feeds.at("/feed", play)
    assert get(url, etag='"v1"', modified="yesterday").body is None
    assert get(url).body == b"new"


@pytest.mark.parametrize(("status", "permanent"), [(404, True), (403, True), (500, False), (429, False), (204, False)])
def test_another_status_is_an_error_and_says_whether_to_try_again(
    feeds: FeedServer, status: int, permanent: bool
) -> None:
    with pytest.raises(FeedError, match=f"127.0.0.1 answered with status {status}") as caught:
        get(feeds.at("/feed?key=secret", Answer(status=status)))
    assert caught.value.permanent is permanent
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("unsized", [False, True], ids=["with a length", "without"])
def test_a_document_beyond_the_limit_is_cut_off(feeds: FeedServer, unsized: bool) -> None:
    url = feeds.at("/feed", Answer(b"x" * (2 * LONGEST), unsized=unsized))
    with pytest.raises(FeedError, match="sends more than"):
        get(url)


def test_a_drip_of_bytes_gains_nothing(feeds: FeedServer) -> None:
    url = feeds.at("/feed", Answer(b"x" * 10_000, drip_s=0.01))
    with pytest.raises(FeedError, match="takes too long") as caught:
        get(url, total_s=0.1)
    assert not caught.value.permanent


def test_a_packed_document_is_not_unpacked(feeds: FeedServer) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    with pytest.raises(FeedError, match="packed"):
        get(feeds.at("/feed", Answer(bomb, headers={"Content-Encoding": "gzip"})))


def test_redirects_are_followed_and_counted(feeds: FeedServer) -> None:
    feeds.at("/new", Answer(b"here"))
    assert get(feeds.at("/old", Answer(status=301, headers={"Location": "/new"}))).body == b"here"
    with pytest.raises(FeedError, match=f"more than {REDIRECTS} times"):
        get(feeds.at("/loop", Answer(status=302, headers={"Location": "/loop"})))
    with pytest.raises(FeedError, match="to nowhere"):
        get(feeds.at("/lost", Answer(status=302)))


TARGETS = (
    "http://127.0.0.1:{port}/secret", "http://localhost:{port}/secret", "http://2130706433:{port}/secret",
    "http://0x7f.1:{port}/secret", "http://[::ffff:127.0.0.1]:{port}/secret", "//127.1:{port}/secret",
)  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_a_redirect_into_a_private_network_makes_no_connection(target: str) -> None:
    """The first server is allowed by its address alone; the second stands where nobody may look."""
    with feed_server() as public, feed_server() as private:
        private.at("/secret", Answer(b"metadata"))
        url = public.at("/feed", Answer(status=302, headers={"Location": target.format(port=private.port)}))
        # 127.0.0.2 is the one address that stands for the public net here
        start = url.replace("127.0.0.1", "127.0.0.2")
        with pytest.raises(FeedError):
            fetch(start, networks=["127.0.0.2/32"])
        assert private.seen == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
def test_a_private_address_that_nobody_allowed_makes_no_connection(host: str) -> None:
    with feed_server() as private:
        private.at("/feed", Answer(b"x"))
        with pytest.raises(FeedError, match="not on the public net: FEED_NETWORKS names"):
            fetch(f"http://{host}:{private.port}/feed")
        assert private.seen == []


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com/x", "file:///etc/passwd", "http://", "http://user:pass@127.0.0.1/", "gopher://127.0.0.1", "x",
     "http://127.0.0.1:99999/"],
)  # fmt: skip
def test_other_addresses_are_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(FeedError):
        get(url)


def test_a_server_that_is_not_there_may_be_tried_again() -> None:
    with feed_server() as server:
        url = server.url
    with pytest.raises(FeedError, match="cannot be reached") as caught:
        get(url)
    assert not caught.value.permanent


def test_two_fetches_do_not_wait_for_each_other(feeds: FeedServer) -> None:
    go = threading.Event()

    def held(headers: dict[str, str]) -> Answer:
        assert go.wait(10)
        return Answer(b"late")

    slow, quick = feeds.at("/slow", held), feeds.at("/quick", Answer(b"now"))
    got: list[bytes | None] = []
    waiting = threading.Thread(target=lambda: got.append(get(slow).body))
    waiting.start()
    assert get(quick).body == b"now"
    go.set()
    waiting.join(10)
    assert got == [b"late"]
