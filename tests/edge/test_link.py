"""The link against a real mosquitto: commands come in, answers and optional outputs go out, whatever is sent."""

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from inspector.core.frame import Frame
from inspector.core.inspection import Inspection
from inspector.demo.broker import running_broker
from inspector.edge.commands.doorman import Request
from inspector.edge.link import Link, LinkRules
from inspector.edge.log import Log
from inspector.edge.messages import result_message
from inspector.edge.topics import Topics
from inspector.settings import CommandsSection, ExtrasSection, MqttSection
from tests.edge.conftest import Mosquitto, Subscriber, wait_until
from tests.station_kit import picture

Make = Callable[..., Inspection]
Subscribe = Callable[[int, str], Subscriber]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "log.db"
    Log(path, "cell-3").close()
    return path


@pytest.fixture
def told() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def start(path: Path, topics: Topics, told: list[tuple[str, str]]) -> Iterator[Callable[..., Link]]:
    started: list[Link] = []

    def make(port: int, commands: CommandsSection | None = None, **extras: Any) -> Link:
        rules = LinkRules(MqttSection(port=port), commands or CommandsSection(), ExtrasSection(**extras))
        link = Link(
            rules,
            topics,
            path,
            message=lambda inspection: result_message(inspection, topics),
            tell=lambda *event: told.append(event),
            nudge=lambda: None,
        )
        started.append(link)
        link.start()
        return link

    yield make
    for link in started:
        link.stop()


def ask(heard: Subscriber, topics: Topics, verb: str, body: object = None, *, retain: bool = False, **told: Any) -> None:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    for name, value in told.items():
        setattr(properties, name, value)
    payload = b"" if body is None else json.dumps(body).encode()
    heard.client.publish(topics.command(verb), payload, qos=1, retain=retain, properties=properties)


def replies(heard: Subscriber) -> list[dict[str, Any]]:
    return [json.loads(message.payload) for message in list(heard.messages) if "/reply/" in message.topic]


def until_heard(heard: Subscriber, topics: Topics) -> None:
    """Wait until the link listens: it answers what it does not know, too."""
    asked = 0

    def is_there() -> bool:
        nonlocal asked
        answered = [message.properties.CorrelationData for message in list(heard.messages) if "/reply/" in message.topic]
        if not answered:
            asked += 1
            ask(heard, topics, "hello", ResponseTopic=topics.reply("hello"), CorrelationData=str(asked).encode())
            time.sleep(0.05)
        return str(asked).encode() in answered  # answers come in order: no other is on its way

    wait_until(is_there)
    heard.messages.clear()


class Relay:
    """Carries bytes between clients and a broker, until the wire is cut."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.wires: list[socket.socket] = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.server.getsockname()[1])
        self.threads = [threading.Thread(target=self.serve, daemon=True)]
        self.threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.cut()
        for thread in self.threads:
            thread.join(5)

    def serve(self) -> None:
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            self.wires += [near, far]
            for pair in ((near, far), (far, near)):
                self.threads.append(threading.Thread(target=self.carry, args=pair, daemon=True))
                self.threads[-1].start()

    def carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)

    def cut(self) -> None:
        for wire in self.wires:
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)
            wire.close()
        self.wires.clear()


@pytest.fixture
def heard(broker: Mosquitto, subscribe: Subscribe) -> Subscriber:
    broker.start()
    return subscribe(broker.port, "#")


def taken(link: Link, last: str) -> list[Request]:
    """Take commands as the frame loop does, until one of a kind has come."""
    found: list[Request] = []

    def has_come() -> bool:
        found.extend(link.requests(8))
        return any(request.verb == last for request in found)

    wait_until(has_come)
    return found


def shown(make_inspection: Make, number: int, **changes: Any) -> tuple[Frame, Inspection]:
    inspection = make_inspection(number, seq=number, **changes)
    return Frame("cell-3", "top", inspection.frame_id, datetime.now(UTC), time.monotonic_ns(), picture(number)), inspection


def test_a_replay_is_accepted_published_in_order_and_done_with_the_askers_correlation(
    broker: Mosquitto, heard: Subscriber, start: Any, topics: Topics, path: Path, make_inspection: Make, told: list[tuple[str, str]]
) -> None:
    with Log(path, "cell-3") as log:
        rows = [log.append(make_inspection(number)) for number in range(60)]
        log._database.conn.execute("DELETE FROM inspections WHERE seq IN (7, 8)")
    start(broker.port)
    until_heard(heard, topics)
    answers_to = topics.reply("mes-1")
    ask(heard, topics, "replay", {"from_seq": 5, "to_seq": 62, "who": "mes-1"}, ResponseTopic=answers_to, CorrelationData=b"\x00q1")
    wait_until(lambda: len(replies(heard)) == 2)
    accepted, done = replies(heard)
    assert (accepted["outcome"], done["outcome"]) == ("accepted", "done")
    assert accepted["result"] == {"from_seq": 5, "to_seq": 62, "count": 54, "waiting": 0, "missing": [[7, 8], [61, 62]]}
    assert done["result"]["published"] == 54
    answers = [message for message in heard.messages if "/reply/" in message.topic]
    assert {(message.topic, message.properties.CorrelationData) for message in answers} == {(answers_to, b"\x00q1")}
    results = [message for message in heard.messages if message.topic == topics.result]
    assert [json.loads(message.payload)["seq"] for message in results] == [*range(5, 7), *range(9, 61)]
    assert {json.loads(message.payload)["inspection_id"] for message in results} <= {row.inspection_id for row in rows}
    assert {dict(message.properties.UserProperty)["replayed"] for message in results} == {"true"}
    kinds = [detail for kind, detail in told if "mes-1" in detail]
    assert [detail.split(":")[:2] for detail in kinds] == [["replay from mes-1", " accepted"], ["replay from mes-1", " done"]]


def test_a_replay_goes_on_after_the_connection_was_cut(
    broker: Mosquitto, heard: Subscriber, start: Any, topics: Topics, path: Path, make_inspection: Make
) -> None:
    with Log(path, "cell-3") as log:
        for number in range(300):
            log.append(make_inspection(number))
    with Relay(broker.port) as relay:
        link = start(relay.port)
        until_heard(heard, topics)
        ask(heard, topics, "replay", {"from_seq": 1})
        for count in (20, 150):
            wait_until(lambda count=count: len(heard.bodies("/result")) > count)  # type: ignore[misc]
            relay.cut()
        wait_until(lambda: [body["outcome"] for body in replies(heard)][-1:] == ["done"])
        link.stop()
    assert list(dict.fromkeys(body["seq"] for body in heard.bodies("/result"))) == list(range(1, 301))
    assert replies(heard)[-1]["result"]["published"] == 300


def test_a_replay_waits_while_something_fresh_is_in_the_outbox(
    broker: Mosquitto, heard: Subscriber, start: Any, topics: Topics, path: Path, make_inspection: Make
) -> None:
    with Log(path, "cell-3") as log:
        log.append(make_inspection(1))
        log.append(make_inspection(2), lambda inspection: result_message(inspection, topics))
    start(broker.port)
    until_heard(heard, topics)
    ask(heard, topics, "replay", {"from_seq": 1})
    wait_until(lambda: len(replies(heard)) == 1)
    ask(heard, topics, "resume")
    wait_until(lambda: len(replies(heard)) == 2)
    assert heard.bodies("/result") == []
    with Log(path, "cell-3") as log:
        log.outbox.close([1])
    wait_until(lambda: [body["seq"] for body in heard.bodies("/result")] == [1, 2])


def test_a_replay_that_the_broker_denies_is_told_as_failed(
    broker: Mosquitto, subscribe: Subscribe, start: Any, topics: Topics, path: Path, make_inspection: Make
) -> None:
    broker.acl.write_text("topic read #\ntopic write +/+/+/+/+/+/cmd/#\ntopic write +/+/+/+/+/+/reply/#\n")
    broker.start()
    heard = subscribe(broker.port, "#")
    with Log(path, "cell-3") as log:
        log.append(make_inspection(1))
    start(broker.port)
    until_heard(heard, topics)
    ask(heard, topics, "replay", {"from_seq": 1})
    wait_until(lambda: len(replies(heard)) == 2)
    assert (replies(heard)[1]["outcome"], replies(heard)[1]["reason"]) == ("failed", "the broker refuses them: Not authorized")


def test_a_snapshot_is_published_kept_and_answered(
    broker: Mosquitto, heard: Subscriber, start: Any, topics: Topics, path: Path, make_inspection: Make
) -> None:
    link = start(broker.port)
    until_heard(heard, topics)
    ask(heard, topics, "snapshot")
    wait_until(lambda: len(replies(heard)) == 1)
    assert (replies(heard)[0]["outcome"], "no picture" in replies(heard)[0]["reason"]) == ("failed", True)
    for number in (1, 2):
        link.offer(*shown(make_inspection, number, disposition="fail"))
    ask(heard, topics, "snapshot", {"camera": "top"})
    wait_until(lambda: len(replies(heard)) == 2 and any("/image/" in message.topic for message in heard.messages))
    result = replies(heard)[1]["result"]
    image = next(message for message in heard.messages if "/image/" in message.topic)
    assert (result["seq"], result["frame_id"], result["topic"]) == (2, "f2", image.topic)
    assert Path(result["path"]).read_bytes() == image.payload
    assert Path(result["path"]) == path.parent / "snapshots" / "top.jpg"
    decoded = cv2.imdecode(np.frombuffer(image.payload, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape[1] == 128


def test_other_commands_wait_for_the_frame_loop_and_are_answered_by_it(
    broker: Mosquitto, heard: Subscriber, start: Any, topics: Topics
) -> None:
    link = start(broker.port, CommandsSection(allow=("lot",)))
    until_heard(heard, topics)
    ask(heard, topics, "lot", {"lot": "L8"}, UserProperty=[("who", "mes-2")])
    found = taken(link, "lot")
    assert (found[0].verb, found[0].asker.who) == ("lot", "mes-2")
    link.answer(found[0].asker, "done", result={"lot": "L8"})
    wait_until(lambda: len(replies(heard)) == 1)
    assert replies(heard)[0]["result"] == {"lot": "L8"}


def test_a_kept_command_is_carried_out_neither_now_nor_at_the_next_start(
    broker: Mosquitto, heard: Subscriber, start: Any, topics: Topics
) -> None:
    rules = CommandsSection(allow=("trigger",))
    link = start(broker.port, rules)
    until_heard(heard, topics)
    ask(heard, topics, "trigger", {}, retain=True)
    wait_until(lambda: len(replies(heard)) == 1)
    link.stop()
    again = start(broker.port, rules)
    wait_until(lambda: len(replies(heard)) == 2)
    assert {body["outcome"] for body in replies(heard)} == {"refused"}
    assert list(link.requests(8)) == list(again.requests(8)) == []


def test_a_command_for_a_station_that_is_away_is_lost_and_not_carried_out_late(
    broker: Mosquitto, heard: Subscriber, start: Any, topics: Topics
) -> None:
    rules = CommandsSection(allow=("trigger",))
    link = start(broker.port, rules)
    until_heard(heard, topics)
    link.stop()
    ask(heard, topics, "trigger")
    wait_until(lambda: any(message.topic.endswith("cmd/trigger") for message in heard.messages))
    again = start(broker.port, rules)
    until_heard(heard, topics)
    assert list(again.requests(8)) == []


def test_a_flood_of_commands_is_answered_once_and_the_next_command_comes_through(
    broker: Mosquitto, heard: Subscriber, start: Any, topics: Topics, told: list[tuple[str, str]]
) -> None:
    link = start(broker.port, CommandsSection(allow=("trigger", "lot"), burst=5))
    until_heard(heard, topics)
    before = len(told)
    for _ in range(400):
        heard.client.publish(topics.command("trigger"), b"{}", qos=0)
    wait_until(lambda: any("too many" in body["reason"] for body in replies(heard)))
    ask(heard, topics, "lot", {"lot": "L8"})
    found = taken(link, "lot")
    assert sum(request.verb == "trigger" for request in found) == 5
    assert len(told) - before == 1, "the log hears of the flood once"


def test_without_a_place_in_the_access_list_commands_are_told_as_refused(start: Any, told: list[tuple[str, str]], topics: Topics) -> None:
    accepted, denied = b"\x20\x03\x00\x00\x00", b"\x90\x04\x00\x01\x00\x87"
    with socket.create_server(("127.0.0.1", 0)) as server:
        start(server.getsockname()[1])
        client, _ = server.accept()
        with client:
            client.recv(65_536)
            client.sendall(accepted)
            client.recv(65_536)  # SUBSCRIBE
            client.sendall(denied)
            wait_until(lambda: bool(told))
    assert told[0][0] == "commands-refused"
    assert f"{topics.command('+')}: Not authorized; allow it in the broker's access list" in told[0][1]


def test_a_late_subscriber_finds_the_newest_result_and_home_assistants_device(
    broker: Mosquitto, subscribe: Subscribe, start: Any, topics: Topics, make_inspection: Make
) -> None:
    broker.start()
    link = start(broker.port, CommandsSection(allow=()), last=True, homeassistant=True)
    for number in range(1, 31):
        link.offer(*shown(make_inspection, number))
    early = subscribe(broker.port, topics.last)
    wait_until(lambda: any(body["seq"] == 30 for body in early.bodies("/last")))
    late = subscribe(broker.port, "#")
    wait_until(lambda: len(late.messages) == 2)
    assert all(message.retain for message in late.messages)
    assert late.bodies("/last")[0]["seq"] == 30
    assert "evaluation" in late.bodies("/config")[0]["components"]


def test_a_sparkplug_node_is_born_tells_is_reborn_and_dies(
    broker: Mosquitto, subscribe: Subscribe, start: Any, make_inspection: Make, topics: Topics
) -> None:
    broker.start()
    host = subscribe(broker.port, "spBv1.0/#")
    link = start(broker.port, CommandsSection(allow=()), sparkplug=True)

    def kinds() -> list[str]:
        return [message.topic.split("/")[2] for message in list(host.messages)]

    wait_until(lambda: kinds() == ["NBIRTH"])
    link.offer(*shown(make_inspection, 1, disposition="fail"))
    wait_until(lambda: kinds() == ["NBIRTH", "NDATA"])
    assert b"NotOK" in host.messages[1].payload
    assert [message.qos for message in host.messages] == [0, 0]
    link.stop()
    wait_until(lambda: kinds() == ["NBIRTH", "NDATA", "NDEATH"])


def test_a_broken_connection_lets_the_broker_tell_the_nodes_death(broker: Mosquitto, subscribe: Subscribe, start: Any) -> None:
    broker.start()
    host = subscribe(broker.port, "spBv1.0/#")
    with Relay(broker.port) as relay:
        link = start(relay.port, CommandsSection(allow=()), sparkplug=True)
        wait_until(lambda: len(host.messages) == 1)
        relay.cut()
        wait_until(lambda: [message.topic.split("/")[2] for message in list(host.messages)] == ["NBIRTH", "NDEATH", "NBIRTH"])
        lives = [re.search(rb"bdSeq\x18.{6}\x20\x08\x58(.{1,2})", message.payload, re.DOTALL) for message in host.messages]
        first, death, second = (life[1][:1] for life in lives if life is not None)
        assert first == death != second
        link.stop()


def test_an_asker_without_mqtt_5_is_answered_below_reply(tmp_path: Path, start: Any, topics: Topics) -> None:
    pytest.importorskip("amqtt.broker", reason="amqtt is not installed: pip install qc-inspector[demo]")
    messages: list[paho.MQTTMessage] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, "old-mes", protocol=paho.MQTTv311)
    client.on_message = lambda _client, _userdata, message: messages.append(message)
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    with running_broker(tmp_path, embedded=True) as broker:
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        client.subscribe(topics.reply("+"), 1)
        assert subscribed.wait(10)
        start(broker.port)

        def is_answered() -> bool:
            client.publish(topics.command("replay"), b'{"from_seq": 1, "who": "old-mes"}')
            time.sleep(0.2)
            return bool(messages)

        wait_until(is_answered)
        client.disconnect()
        client.loop_stop()
    body = json.loads(messages[0].payload)
    assert messages[0].topic == topics.reply("replay")
    assert (body["outcome"], body["result"]["count"]) == ("done", 0)


def test_without_a_broker_the_link_costs_neither_time_nor_memory(start: Any, make_inspection: Make) -> None:
    link = start(1, last=True, image="all", sparkplug=True)
    offered = shown(make_inspection, 1)
    wait_until(lambda: link.error is not None)
    for _ in range(5000):
        link.offer(*offered)
    assert len(link._showcase._results) <= 256
    assert len(link._showcase._pictures) <= 2
    before = threading.active_count()
    link.stop()
    assert threading.active_count() == before - 1
