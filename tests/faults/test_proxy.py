"""The proxy that stands for the network."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.edge.conftest import wait_until
from tests.faults.proxy import Proxy


class Echo:
    """Sends back what it gets."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.server.getsockname()[1])
        self.heard = b""
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(client,), daemon=True).start()

    def answer(self, client: socket.socket) -> None:
        with client:
            while heard := client.recv(4096):
                self.heard += heard
                client.sendall(heard)


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.server.shutdown(socket.SHUT_RDWR)
    server.server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    proxy = Proxy(echo.port)
    yield proxy
    proxy.close()


def dial(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def test_bytes_go_through_and_come_back(proxy: Proxy) -> None:
    with dial(proxy) as client:
        client.sendall(b"hello")
        assert client.recv(99) == b"hello"


def test_in_silence_bytes_vanish_and_the_connection_ends_with_the_silence(proxy: Proxy, echo: Echo) -> None:
    with dial(proxy) as client:
        client.sendall(b"before")
        assert client.recv(99) == b"before"
        proxy.fall_silent()
        with dial(proxy) as newcomer:
            client.sendall(b"within")
            newcomer.sendall(b"hello?")
            wait_until(lambda: proxy.swallowed_bytes == 12)
            proxy.speak()
            assert client.recv(99) == b""
            assert newcomer.recv(99) == b""
    assert echo.heard == b"before"
    with dial(proxy) as client:
        client.sendall(b"after")
        assert client.recv(99) == b"after"


def test_without_a_broker_a_connection_ends_at_once(echo: Echo) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = int(probe.getsockname()[1])
    proxy = Proxy(nobody)
    with dial(proxy) as client:
        assert client.recv(99) == b""
    proxy.close()
