"""The publisher against a real mosquitto: what is logged arrives, whatever happens to broker, network or process."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inspector.core.inspection import Inspection
from inspector.edge.log import Log
from inspector.edge.messages import event_message, result_message
from inspector.edge.publisher import Publisher
from inspector.edge.topics import Topics
from inspector.errors import LogError
from inspector.settings import MqttSection

Make = Callable[..., Inspection]
Start = Callable[..., Publisher]
ToMqtt = Callable[..., MqttSection]


def wait_until(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:

    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def start(path: Path, topics: Topics) -> Iterator[Start]:
    started: list[Publisher] = []

    def make(mqtt: MqttSection, **settings: Any) -> Publisher:
        publisher = Publisher(mqtt, topics, path, {"model": "inspector-edge@abc", "labels": ["good", "scratch"]}, **settings)
        started.append(publisher)
        publisher.start()
        return publisher

    yield make
    for publisher in started:
        publisher.stop()


@pytest.fixture
def log_some(path: Path, topics: Topics, make_inspection: Make) -> Callable[[int, int], None]:
    def log_some(first: int, count: int) -> None:
        with Log(path, "cell-3") as log:
            for number in range(first, first + count):
                log.append(make_inspection(number), lambda inspection: result_message(inspection, topics))

    return log_some


def without_duplicates(bodies: list[dict[str, Any]]) -> list[int]:
    """Return the numbers as a subscriber sees them that drops an id it has seen."""
    return [body["seq"] for body in {body["inspection_id"]: body for body in bodies}.values()]


def events(path: Path) -> list[str]:
    with Log(path, "cell-3") as log:
        return [event.kind for event in log.events()]


def test_logged_inspections_arrive_in_order_with_cloudevents_attributes_and_leave_the_outbox(
    broker: Any, subscribe: Any, start: Start, mqtt_to: ToMqtt, log_some: Any, path: Path
) -> None:
    broker.start()
    heard = subscribe(broker.port, "inspector/v1/#")
    publisher = start(mqtt_to(broker.port))
    for number in range(60):
        log_some(number, 1)
        publisher.wake()
    assert publisher.drain(10)
    wait_until(lambda: len(heard.bodies("/result")) == 60)
    assert [body["seq"] for body in heard.bodies("/result")] == list(range(1, 61))
    message = next(m for m in heard.messages if m.topic.endswith("/result"))
    attributes = dict(message.properties.UserProperty)
    body = json.loads(message.payload)
    assert message.properties.ContentType == "application/json"
    assert not hasattr(message.properties, "MessageExpiryInterval"), "a result that waits must never vanish"
    assert attributes["specversion"] == "1.0"
    assert attributes["id"] == body["inspection_id"]
    assert attributes["source"] == "/plant/press/line1/cell-3"
    assert publisher.depth == 0
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM inspections WHERE published_at IS NULL").fetchone() == (0,)
    database.close()


def test_without_a_broker_the_outbox_grows_and_everything_arrives_when_it_comes(
    broker: Any, subscribe: Any, start: Start, mqtt_to: ToMqtt, log_some: Any, path: Path
) -> None:
    publisher = start(mqtt_to(broker.port))
    log_some(0, 30)
    publisher.wake()
    assert not publisher.drain(10), "gives up at once"
    assert publisher.state == "offline"
    assert "cannot connect" in str(publisher.error)
    assert publisher.alive
    assert publisher.depth == 30
    broker.start()
    heard = subscribe(broker.port, "inspector/v1/#")
    assert publisher.drain(10)
    assert publisher.error is None
    wait_until(lambda: len(heard.bodies("/result")) >= 30)
    assert [body["seq"] for body in heard.bodies("/result")] == list(range(1, 31))
    assert events(path) == ["broker-lost", "broker-back"]


def test_a_broker_that_is_killed_and_comes_back_loses_nothing(
    broker: Any, subscribe: Any, start: Start, mqtt_to: ToMqtt, log_some: Any
) -> None:
    broker.start()
    heard = subscribe(broker.port, "inspector/v1/+/+/+/+/result")
    publisher = start(mqtt_to(broker.port))
    log_some(0, 20)
    assert publisher.drain(10)
    wait_until(lambda: len(heard.messages) >= 20)
    broker.freeze()
    log_some(20, 40)  # some of these are under way when the broker dies
    publisher.wake()
    broker.kill()
    wait_until(lambda: publisher.state == "offline")
    heard.ready.clear()
    broker.acl.write_text("topic read #\n")  # nothing may arrive before the subscriber is back
    broker.start()
    assert heard.ready.wait(15)
    broker.allow("topic readwrite #\n")
    assert publisher.drain(15)
    wait_until(lambda: len(without_duplicates(heard.bodies("/result"))) == 60)
    assert without_duplicates(heard.bodies("/result")) == list(range(1, 61))


def test_a_silent_broker_is_given_up_after_the_acknowledgement_timeout_and_nothing_is_lost(
    broker: Any, subscribe: Any, start: Start, mqtt_to: ToMqtt, log_some: Any
) -> None:
    broker.start()
    publisher = start(mqtt_to(broker.port, ack_timeout_s=0.4))
    wait_until(lambda: publisher.connected)
    heard = subscribe(broker.port, "inspector/v1/+/+/+/+/result")
    broker.freeze()
    log_some(0, 5)
    publisher.wake()
    wait_until(lambda: publisher.state == "offline")
    assert "no acknowledgement" in str(publisher.error) or "no answer to CONNECT" in str(publisher.error)
    assert publisher.depth == 5
    broker.thaw()
    wait_until(lambda: publisher.depth == 0)
    wait_until(lambda: len(without_duplicates(heard.bodies("/result"))) == 5)
    assert without_duplicates(heard.bodies("/result")) == [1, 2, 3, 4, 5]


STATION = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from inspector.core.inspection import Inspection, Verdict
from inspector.edge.log import Log
from inspector.edge.messages import result_message
from inspector.edge.publisher import Publisher
from inspector.edge.topics import Topics
from inspector.settings import MqttSection

path, port, first = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
topics = Topics("inspector/v1", "plant", "press", "line1", "cell-3")
publisher = Publisher(MqttSection(port=port), topics, path, {})
publisher.start()
instant = datetime(2026, 3, 1, tzinfo=UTC)
with Log(path, "cell-3") as log:
    for number in range(first, 100_000):
        inspection = Inspection(f"id-{number}", "cell-3", "top", str(number), "p", instant, instant, 1.0, Verdict("pass", (), ""), ())
        log.append(inspection, lambda i: result_message(i, topics))
        publisher.wake()
        print(number, flush=True)
"""


def test_a_killed_process_loses_nothing_and_the_next_one_sends_the_rest(
    broker: Any, subscribe: Any, start: Start, mqtt_to: ToMqtt, path: Path
) -> None:
    broker.start()
    heard = subscribe(broker.port, "inspector/v1/+/+/+/+/result")
    logged = 0
    for _ in range(2):
        command = [sys.executable, "-c", STATION, str(path), str(broker.port), str(logged)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as station:
            assert station.stdout is not None
            for _line, number in zip(range(40), station.stdout, strict=False):
                logged = int(number) + 1
            os.kill(station.pid, signal.SIGKILL)
    with Log(path, "cell-3") as log:
        count = len(list(log.find()))
        assert [inspection.seq for inspection in log.find()] == list(range(1, count + 1))
    publisher = start(mqtt_to(broker.port))
    assert publisher.drain(10)
    wait_until(lambda: len(without_duplicates(heard.bodies("/result"))) == count)
    assert without_duplicates(heard.bodies("/result")) == list(range(1, count + 1))


def test_a_denied_message_stays_until_the_access_list_allows_it_and_is_announced_once(
    broker: Any, subscribe: Any, start: Start, mqtt_to: ToMqtt, log_some: Any, path: Path
) -> None:
    broker.acl.write_text("topic read #\ntopic write +/+/+/+/+/+/status\ntopic write +/+/+/+/+/+/info\ntopic write +/+/+/+/+/+/event\n")
    broker.start()
    heard = subscribe(broker.port, "inspector/v1/+/+/+/+/+")
    publisher = start(mqtt_to(broker.port))
    log_some(0, 50)
    publisher.wake()
    wait_until(lambda: [body["kind"] for body in heard.bodies("/event")] == ["publish-refused"])
    assert events(path) == ["publish-refused"]
    wait_until(lambda: publisher.depth == 50)
    broker.allow("topic readwrite #\n")
    wait_until(lambda: publisher.depth == 0)
    wait_until(lambda: len(heard.bodies("/result")) == 50)
    assert [body["seq"] for body in heard.bodies("/result")] == list(range(1, 51))
    assert events(path) == ["publish-refused", "publish-accepted"]


def test_a_refused_topic_does_not_hold_up_the_others(
    broker: Any, start: Start, mqtt_to: ToMqtt, log_some: Any, path: Path, topics: Topics
) -> None:
    broker.acl.write_text("topic read #\ntopic write +/+/+/+/+/+/status\ntopic write +/+/+/+/+/+/info\ntopic write +/+/+/+/+/+/result\n")
    broker.start()
    with Log(path, "cell-3") as log:
        log.event("camera-lost", "top", lambda event: event_message(event, topics))
    log_some(0, 50)
    publisher = start(mqtt_to(broker.port))
    wait_until(lambda: publisher.depth == 1)
    with Log(path, "cell-3") as log:
        assert [row.message.topic for row in log.outbox.pending(9)] == [topics.event]


def test_a_status_that_the_broker_refuses_is_told_once_and_does_not_hold_up_the_results(
    broker: Any, subscribe: Any, start: Start, mqtt_to: ToMqtt, log_some: Any, path: Path
) -> None:
    broker.acl.write_text("topic read #\ntopic write +/+/+/+/+/+/event\ntopic write +/+/+/+/+/+/info\ntopic write +/+/+/+/+/+/result\n")
    broker.start()
    publisher = start(mqtt_to(broker.port))
    wait_until(lambda: events(path) == ["publish-refused"])
    publisher.status("degraded", "a camera is away")
    log_some(0, 20)
    publisher.wake()
    wait_until(lambda: publisher.depth == 0)
    assert events(path) == ["publish-refused"]
    broker.allow("topic readwrite #\n")
    heard = subscribe(broker.port, "inspector/v1/+/+/+/+/status")
    publisher.status("running")
    wait_until(lambda: [body["state"] for body in heard.bodies("/status")] == ["running"])
    wait_until(lambda: events(path) == ["publish-refused", "publish-accepted"])


def test_a_message_that_is_too_long_for_the_broker_waits_and_the_others_go(
    broker: Any, start: Start, mqtt_to: ToMqtt, make_inspection: Make, topics: Topics, path: Path, log_some: Any
) -> None:
    broker.extra = "max_packet_size 6000\n"
    broker.start()
    with Log(path, "cell-3") as log:
        log.append(make_inspection(1, lot="x" * 9000), lambda inspection: result_message(inspection, topics))
    log_some(2, 5)
    publisher = start(mqtt_to(broker.port))
    wait_until(lambda: publisher.depth == 1)
    assert publisher.connected
    assert events(path) == ["publish-refused"]


def test_the_status_is_retained_and_a_stop_is_told(broker: Any, subscribe: Any, start: Start, mqtt_to: ToMqtt) -> None:
    broker.start()
    publisher = start(mqtt_to(broker.port))
    publisher.status("running", "all cameras deliver")
    wait_until(lambda: publisher.connected)
    early = subscribe(broker.port, "inspector/v1/#")
    wait_until(lambda: any(body["state"] == "running" for body in early.bodies("/status")))
    assert early.bodies("/info")[0]["model"] == "inspector-edge@abc"
    publisher.stop("maintenance")
    assert not publisher.alive
    late = subscribe(broker.port, "inspector/v1/#")
    wait_until(lambda: len(late.bodies("/status")) == 1)
    status = late.bodies("/status")[0]
    assert (status["state"], status["reason"]) == ("stopped", "maintenance")
    assert all(message.retain for message in late.messages)


def test_the_broker_tells_that_a_killed_station_is_offline(broker: Any, subscribe: Any, path: Path) -> None:
    broker.start()
    heard = subscribe(broker.port, "inspector/v1/+/+/+/+/status")
    command = [sys.executable, "-c", STATION, str(path), str(broker.port), "0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as station:
        wait_until(lambda: [body["state"] for body in heard.bodies("/status")] == ["starting"])
        station.kill()
    wait_until(lambda: [body["state"] for body in heard.bodies("/status")] == ["starting", "offline"])


def test_a_stop_without_a_broker_ends_at_once_and_keeps_the_outbox(broker: Any, start: Start, mqtt_to: ToMqtt, log_some: Any) -> None:
    log_some(0, 3)
    publisher = start(mqtt_to(broker.port))
    wait_until(lambda: publisher.state == "offline")
    publisher.stop()
    assert publisher.state == "stopped"
    assert publisher.depth == 3


def test_a_log_that_cannot_be_opened_is_told_and_the_thread_lives_on(
    broker: Any, start: Start, mqtt_to: ToMqtt, path: Path, log_some: Any
) -> None:
    broker.start()
    path.write_text("no database " * 999)
    publisher = start(mqtt_to(broker.port))
    wait_until(lambda: publisher.error is not None)
    assert "not an SQLite database" in str(publisher.error)
    assert publisher.alive
    path.unlink()
    log_some(0, 3)
    assert publisher.drain(10)


def test_a_second_publisher_of_the_same_station_is_refused(broker: Any, start: Start, mqtt_to: ToMqtt) -> None:
    start(mqtt_to(broker.port))
    with pytest.raises(LogError, match="another daemon of this station is running"):
        start(mqtt_to(broker.port))
