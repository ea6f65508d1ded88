"""A server on loopback for tests of feeds: each path answers with what a test put there, over a real socket."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOOPBACK = ["127.0.0.0/8"]
"""For `FEED_NETWORKS`: without it nothing here may be read."""


@dataclass(frozen=True)
class Answer:
    """One reply. With `drip_s` the body comes byte by byte; `unsized` sends no length and closes at the end."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drip_s: float = 0.0
    unsized: bool = False


Play = Answer | Callable[[dict[str, str]], Answer]


class FeedServer:
    """`plays` maps a path to its answer, or to a function of the request's headers; `seen` holds (path, headers)."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.plays: dict[str, Play] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []

    def at(self, path: str, play: Play) -> str:
        """Answer at `path`; its whole address."""
        self.plays[path] = play
        return self.url + path


@contextmanager
def feed_server() -> Iterator[FeedServer]:
    """A server in a thread of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    feeds = FeedServer(server.server_address[1])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            feeds.seen.append((self.path, headers))
            play = feeds.plays.get(self.path, Answer(status=404))
            self._send(play(headers) if callable(play) else play)

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if not answer.unsized:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            try:
                self._write(answer)
            except OSError:  # the reader has left, which is what some tests are about
                self.close_connection = True

        def _write(self, answer: Answer) -> None:
            if not answer.drip_s:
                self.wfile.write(answer.body)
                return
            for byte in answer.body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(answer.drip_s)

        def log_message(self, format: str, *args: object) -> None:  # the library's own name
            """Quiet."""

    server.RequestHandlerClass = Handler
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield feeds
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
