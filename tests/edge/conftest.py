"""A real broker, a real subscriber, inspections to log."""

import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from inspector.core.inspection import Finding, Inspection, Verdict, inspection_id
from inspector.core.prediction import Prediction
from inspector.edge.topics import Topics
from inspector.settings import MqttSection

MakeInspection = Callable[..., Inspection]


class Mosquitto:
    """The real broker in a folder of its own."""

    def __init__(self, program: str, folder: Path) -> None:
        self.program = program
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.acl = folder / "acl"
        self.acl.write_text("topic readwrite #\n")
        self.extra = ""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        conf = self.folder / "mosquitto.conf"
        store = f"persistence true\npersistence_location {self.folder}/\nautosave_interval 1\nautosave_on_changes true\n"
        conf.write_text(f"user root\nlistener {self.port} 127.0.0.1\nallow_anonymous true\nacl_file {self.acl}\n{store}{self.extra}")
        self.process = subprocess.Popen([self.program, "-c", str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.answers)

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def allow(self, rules: str) -> None:
        """Change the access list of the running broker."""
        self.acl.write_text(rules)
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Subscriber:
    """An independent MQTT 5 subscriber that keeps what it hears."""

    def __init__(self, port: int, topic: str, client_id: str = "line-display") -> None:
        self.messages: list[Any] = []
        self.ready = threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5)
        self.client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = lambda _client, _userdata, message: self.messages.append(message)
        self.client.reconnect_delay_set(1, 1)
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = 3600  # the broker keeps messages while the subscriber is away
        self.client.connect("127.0.0.1", port, clean_start=False, properties=session)
        self.client.loop_start()
        assert self.ready.wait(10)

    def bodies(self, topic_end: str) -> list[dict[str, Any]]:
        return [json.loads(message.payload) for message in list(self.messages) if message.topic.endswith(topic_end)]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def wait_until(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    """Wait until something becomes true, or fail."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Mosquitto(program, folder)
    yield broker
    broker.kill()


@pytest.fixture
def subscribe() -> Iterator[Callable[[int, str], Subscriber]]:
    opened: list[Subscriber] = []

    def open_one(port: int, topic: str) -> Subscriber:
        opened.append(Subscriber(port, topic, f"subscriber-{len(opened)}"))
        return opened[-1]

    yield open_one
    for subscriber in opened:
        subscriber.close()


@pytest.fixture
def topics() -> Topics:
    return Topics("inspector/v1", "plant", "press", "line1", "cell-3")


@pytest.fixture
def mqtt_to() -> Callable[..., MqttSection]:
    def section(port: int, **settings: Any) -> MqttSection:
        return MqttSection(port=port, **settings)

    return section


@pytest.fixture
def make_inspection() -> MakeInspection:
    """Return a factory: the n-th inspection, with anything changed."""

    def make(number: int = 1, *, disposition: str = "pass", label: str | None = None, **changes: Any) -> Inspection:
        captured = datetime(2026, 3, 1, 8, tzinfo=UTC) + timedelta(seconds=number)
        name = label or {"pass": "good", "fail": "scratch", "review": "dent"}[disposition]
        share = 0.55 if disposition == "review" else 0.96
        scores = {key: share if key == name else (1 - share) / 2 for key in ("good", "scratch", "dent")}
        prediction = Prediction("frame", scores, ("QC-1", "QC-2"), "inspector-edge@abc")
        finding = Finding("frame", name, prediction.confidence, (1, 2, 30, 40), disposition)  # type: ignore[arg-type]
        findings = () if disposition == "pass" else (finding,)
        fields: dict[str, Any] = {
            "inspection_id": inspection_id("cell-3", "top", f"f{number}", int(captured.timestamp() * 1e9)),
            "station": "cell-3",
            "camera": "top",
            "frame_id": f"f{number}",
            "product": "bracket",
            "captured_at": captured,
            "inspected_at": captured + timedelta(milliseconds=81),
            "frame_age_ms": 81.25,
            "verdict": Verdict(disposition, findings, f"frame: {name} {prediction.confidence:.2f}"),  # type: ignore[arg-type]
            "predictions": (prediction,),
            "timings_ms": {"preprocess": 4.5, "vision": 30.0, "total": 79.5},
            "model": "inspector-edge@abc",
            "lot": "L7",
            "width_px": 640,
            "height_px": 480,
            "source": "frames/甲.png",
        }
        return Inspection(**(fields | changes))

    return make
