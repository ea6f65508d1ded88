"""The fault proxy does to bytes what it says."""

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.proxy import FaultProxy, Mode


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with self.request as client:
            while data := client.recv(65_536):
                client.sendall(data)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A reset connection is what these tests cause."""


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    """A proxy in front of an echo."""
    with _Server(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        with FaultProxy("127.0.0.1", server.server_address[1]) as proxy:
            yield proxy
        server.shutdown()
        thread.join(5)


def connect(proxy: FaultProxy) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", proxy.port), timeout=30)
    client.settimeout(30)
    return client


def echo(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    found = b""
    while len(found) < len(data):
        part = client.recv(65_536)
        if not part:
            break
        found += part
    return found


def test_bytes_pass(proxy: FaultProxy) -> None:
    with connect(proxy) as client:
        assert echo(client, b"x" * 300_000) == b"x" * 300_000
    assert proxy.connections == 1


def test_reset_breaks_open_connections_and_new_ones(proxy: FaultProxy) -> None:
    with connect(proxy) as client:
        echo(client, b"hello")
        proxy.set(Mode.RESET)
        with pytest.raises(ConnectionError):
            raise_if_closed(client.recv(1))
    with connect(proxy) as client, pytest.raises(ConnectionError):
        raise_if_closed(client.recv(1))
    proxy.set(Mode.OK)
    with connect(proxy) as client:
        assert echo(client, b"again") == b"again"


def raise_if_closed(data: bytes) -> None:
    """A peer may see a reset as an error or as an end; both are the connection being gone."""
    if not data:
        raise ConnectionResetError


def until_the_end(client: socket.socket) -> bytes:
    """What still arrives on a connection that is being broken."""
    found = b""
    while True:
        try:
            part = client.recv(10)
        except ConnectionError:
            return found
        if not part:
            return found
        found += part


def test_a_black_hole_delivers_nothing_and_later_everything(proxy: FaultProxy) -> None:
    with connect(proxy) as client:
        proxy.set(Mode.BLACK_HOLE)
        client.settimeout(0.4)
        with pytest.raises(TimeoutError):
            echo(client, b"hello")
        proxy.set(Mode.OK)
        client.settimeout(30)
        assert client.recv(5) == b"hello"


def test_latency_delays_each_way(proxy: FaultProxy) -> None:
    with connect(proxy) as client:
        proxy.set(Mode.LATENCY, delay_s=0.2)
        started = time.monotonic()
        assert echo(client, b"hello") == b"hello"
        assert time.monotonic() - started >= 0.4


def test_cut_delivers_some_bytes_and_breaks(proxy: FaultProxy) -> None:
    with connect(proxy) as client:
        echo(client, b"hello")
        proxy.set(Mode.CUT, after=3)
        client.sendall(b"abcdef")
        assert len(until_the_end(client)) <= 3


def test_a_target_that_is_down_looks_like_one(proxy: FaultProxy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = free.getsockname()[1]
    with FaultProxy("127.0.0.1", nobody) as down, connect(down) as client, pytest.raises(ConnectionError):
        raise_if_closed(client.recv(1))
