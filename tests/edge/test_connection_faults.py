"""The publisher against brokers that misbehave, played by a socket that sends what a test tells it to send."""

import gc
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inspector.core.inspection import Inspection
from inspector.edge.access import Access
from inspector.edge.connection import Connection
from inspector.edge.log import Log
from inspector.edge.messages import result_message
from inspector.edge.publisher import Publisher
from inspector.edge.topics import Topics
from inspector.errors import PublishError
from inspector.settings import MqttSection

ACCEPTED = b"\x20\x03\x00\x00\x00"
ACCEPTED_THREE_IN_FLIGHT = b"\x20\x06\x00\x00\x03\x21\x00\x03"
TAKEN_OVER = b"\xe0\x02\x8e\x00"
WRONG_PASSWORD = b"\x20\x03\x00\x86\x00"


class ScriptedBroker:
    """Answers each connection's first packet with a script, then hears and says nothing more."""

    def __init__(self, script: bytes, *, hang_up: bool = False) -> None:
        self.script = script
        self.hang_up = hang_up
        self.heard = b""
        self.connections = 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.server.getsockname()[1])
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            self.connections += 1
            with client:
                self.listen(client)

    def listen(self, client: socket.socket) -> None:
        try:
            client.recv(65_536)
            client.sendall(self.script)
            while not self.hang_up and (heard := client.recv(65_536)):
                self.heard += heard
        except OSError:
            return

    def close(self) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join(5)


Play = Callable[..., tuple[ScriptedBroker, Publisher]]


@pytest.fixture
def play(tmp_path: Path, topics: Topics) -> Iterator[Play]:
    opened: list[tuple[ScriptedBroker, Publisher]] = []

    def play(script: bytes, *, hang_up: bool = False, ack_timeout_s: float = 5.0) -> tuple[ScriptedBroker, Publisher]:
        broker = ScriptedBroker(script, hang_up=hang_up)
        publisher = Publisher(MqttSection(port=broker.port, ack_timeout_s=ack_timeout_s), topics, tmp_path / "log.db", {})
        opened.append((broker, publisher))
        publisher.start()
        return broker, publisher

    yield play
    for broker, publisher in opened:
        publisher.stop()
        broker.close()


def fault_of(publisher: Publisher) -> str:
    deadline = time.monotonic() + 15
    while publisher.error is None:
        assert time.monotonic() < deadline, "no fault was told"
        time.sleep(0.01)
    return publisher.error


def test_another_client_with_the_same_id_is_named_as_the_cause(play: Play) -> None:
    _, publisher = play(ACCEPTED + TAKEN_OVER)
    assert "has another station the same name?" in fault_of(publisher)


def test_a_wrong_password_is_told_with_the_keys_to_check(play: Play) -> None:
    _, publisher = play(WRONG_PASSWORD)
    assert "refused the connection: Bad user name or password; check mqtt.username" in fault_of(publisher)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 64, b"\x20\x00", b"\x20\x7f\x00\x01\x02", b""])
def test_whatever_answers_instead_of_a_broker_the_thread_lives_and_tries_again(play: Play, answer: bytes) -> None:
    _, publisher = play(answer, hang_up=True)
    assert fault_of(publisher)
    assert publisher.alive
    assert not publisher.connected


def test_a_broker_that_never_answers_is_given_up(play: Play) -> None:
    _, publisher = play(b"", ack_timeout_s=0.2)
    assert "no answer to CONNECT" in fault_of(publisher)


def test_an_acknowledgement_of_an_unknown_message_closes_no_row(
    play: Play, tmp_path: Path, topics: Topics, make_inspection: Callable[..., Inspection]
) -> None:
    with Log(tmp_path / "log.db", "cell-3") as log:
        log.append(make_inspection(), lambda inspection: result_message(inspection, topics))
    _, publisher = play(ACCEPTED + b"\x40\x02\x03\xe7", ack_timeout_s=0.3)
    assert "no acknowledgement" in fault_of(publisher)
    assert publisher.depth == 1


def test_no_more_messages_are_under_way_than_the_broker_allows(
    play: Play, tmp_path: Path, topics: Topics, make_inspection: Callable[..., Inspection]
) -> None:
    with Log(tmp_path / "log.db", "cell-3") as log:
        for number in range(10):
            log.append(make_inspection(number), lambda inspection: result_message(inspection, topics))
    broker, publisher = play(ACCEPTED_THREE_IN_FLIGHT, ack_timeout_s=0.5)
    assert "no acknowledgement" in fault_of(publisher)
    publisher.stop()
    assert broker.heard.count(b"/cell-3/result") == broker.connections


def test_a_mistake_in_a_callback_is_told_and_does_not_silence_the_thread(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a mistake in a callback")

    monkeypatch.setattr("inspector.edge.connection.Connection._on_connect", broken)
    _, publisher = play(ACCEPTED)
    assert "a mistake in a callback" in fault_of(publisher)
    assert publisher.alive


def test_a_mistake_while_an_acknowledgement_is_read_is_told_and_the_row_stays(
    play: Play, tmp_path: Path, topics: Topics, make_inspection: Callable[..., Inspection], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a mistake in a callback")

    with Log(tmp_path / "log.db", "cell-3") as log:
        log.append(make_inspection(), lambda inspection: result_message(inspection, topics))
    monkeypatch.setattr("inspector.edge.connection.Connection._on_publish", broken)
    _, publisher = play(ACCEPTED + b"\x40\x02\x00\x01")
    assert "a mistake in a callback" in fault_of(publisher)
    assert publisher.alive
    assert publisher.depth == 1


def test_a_name_that_no_server_knows_is_told_and_tried_again(tmp_path: Path, topics: Topics, monkeypatch: pytest.MonkeyPatch) -> None:
    broker, looked_up = ScriptedBroker(ACCEPTED), threading.Event()

    def unknown(*_: object, **__: object) -> None:
        looked_up.set()
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    publisher = Publisher(MqttSection(host="localhost", port=broker.port), topics, tmp_path / "log.db", {})
    with monkeypatch.context() as name_servers:
        name_servers.setattr(socket, "getaddrinfo", unknown)
        publisher.start()
        assert looked_up.wait(10)
        assert "Temporary failure in name resolution; is the broker running, and are mqtt.host" in fault_of(publisher)
    deadline = time.monotonic() + 15
    while not publisher.connected:
        assert time.monotonic() < deadline, "no new try"
        time.sleep(0.01)
    publisher.stop()
    broker.close()


def test_name_servers_that_do_not_answer_do_not_count_as_a_hung_thread(
    tmp_path: Path, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer, minutes = threading.Event(), threading.Event(), [0.0]
    clock = time.monotonic

    def slow(*_: object, **__: object) -> None:
        asked.set()
        answer.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    publisher = Publisher(MqttSection(), topics, tmp_path / "log.db", {})
    publisher.start()
    assert asked.wait(10)
    monkeypatch.setattr("inspector.edge.publisher.time.monotonic", lambda: clock() + 60 * minutes[0])
    is_alive = []
    for minutes[0] in (4.0, 6.0):
        is_alive.append(publisher.alive)
    assert is_alive == [True, False]
    minutes[0] = 0.0
    answer.set()
    publisher.stop()


# paho leaves the socket of a failed TLS handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_broker_that_never_answers_the_tls_handshake_is_given_up_before_the_keepalive_is_over() -> None:
    broker = ScriptedBroker(b"")
    connection = Connection(MqttSection(port=broker.port, keepalive_s=3600), "cell-3", Access(tls=ssl.create_default_context()), None)
    connection._client.connect_timeout = 0.2
    with pytest.raises(PublishError, match=r"timed out; is the broker running"):
        connection.open()
    broker.close()
    gc.collect()
