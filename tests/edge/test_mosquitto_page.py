"""docs/mosquitto.md: the real broker with the shipped files; only folders and port are others."""

import re
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from inspector.core.inspection import Inspection
from inspector.edge.log import Log
from inspector.edge.messages import result_message
from inspector.edge.publisher import Publisher
from inspector.edge.topics import Topics
from inspector.settings import MqttSection
from tests.edge.conftest import Mosquitto, wait_until

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = DOCS / "examples" / "mosquitto"
PAGE = (DOCS / "mosquitto.md").read_text(encoding="utf-8")
LINE = "inspector/v1/plant/press/line1"
PASSWORD = "correct horse"
NOT_AUTHORIZED = 135


class Client:
    """One user of the broker, connected through TLS."""

    def __init__(self, port: int, ca_file: Path, user: str) -> None:
        self.heard: list[str] = []
        self.codes: dict[int, int] = {}
        self.ready = threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, f"test-{user}", protocol=paho.MQTTv5)
        self.client.username_pw_set(user, PASSWORD)
        self.client.tls_set_context(ssl.create_default_context(cafile=str(ca_file)))
        self.client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = lambda _client, _userdata, message: self.heard.append(message.topic)
        self.client.on_publish = self.published
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self.ready.wait(10)

    def published(self, _client: Any, _userdata: Any, number: int, code: Any, _properties: Any) -> None:
        self.codes[number] = code.value

    def says(self, topic: str) -> bool:
        """Return whether the broker takes a message from this user."""
        number = self.client.publish(topic, b"{}", qos=1).mid
        wait_until(lambda: number in self.codes)
        assert self.codes[number] in {0, 16, NOT_AUTHORIZED}  # 16: taken, and nobody listens
        return self.codes[number] != NOT_AUTHORIZED

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@dataclass(frozen=True)
class Plant:
    """The broker and who may connect."""

    port: int
    folder: Path
    join: Callable[[str], Client]


def certificates(folder: Path) -> None:
    """Run the page's own commands."""
    found = re.search(r"<!-- test: certificates -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
    assert found
    subprocess.run(["sh", "-euc", found[1]], cwd=folder, check=True, capture_output=True)


def lay_out(folder: Path, port: int) -> None:
    """Put the files where the page puts them, below ``folder`` instead of /etc/mosquitto."""
    for name in ("conf.d", "certs"):
        (folder / name).mkdir()
    certificates(folder / "certs")
    text = (EXAMPLES / "inspector.conf").read_text(encoding="utf-8").replace("/etc/mosquitto", str(folder))
    assert "listener 8883\n" in text
    (folder / "conf.d" / "inspector.conf").write_text(text.replace("listener 8883\n", f"listener {port} 127.0.0.1\n"), encoding="utf-8")
    access = (EXAMPLES / "inspector.acl").read_text(encoding="utf-8")
    # A second station, as the page tells: a copy of the first one's block.
    block = access[access.index("user cell-3") : access.index("# A display")]
    (folder / "inspector.acl").write_text(access + "\n" + block.replace("cell-3", "cell-4"), encoding="utf-8")
    for number, user in enumerate(("cell-3", "cell-4", "display", "recorder", "operator")):
        create = [] if number else ["-c"]
        command = ["mosquitto_passwd", "-b", *create, str(folder / "inspector.users"), user, PASSWORD]
        subprocess.run(command, check=True, capture_output=True)
    main = f"user root\npersistence_location {folder}/\ninclude_dir {folder}/conf.d\n"
    (folder / "mosquitto.conf").write_text(main, encoding="utf-8")


@pytest.fixture
def plant(broker: Mosquitto, tmp_path: Path) -> Iterator[Plant]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    lay_out(folder, broker.port)
    broker.process = subprocess.Popen(
        [broker.program, "-c", str(folder / "mosquitto.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_until(broker.answers)
    clients: list[Client] = []

    def join(user: str) -> Client:
        clients.append(Client(broker.port, folder / "certs" / "ca.pem", user))
        return clients[-1]

    yield Plant(broker.port, folder, join)
    for client in clients:
        client.close()


def test_a_station_writes_below_its_own_topic_alone(plant: Plant, topics: Topics) -> None:
    station = plant.join("cell-3")
    own = [topics.result, topics.event, topics.status, topics.info, topics.metrics, topics.last, topics.image("1"), topics.reply("replay")]
    assert [topic for topic in own if not station.says(topic)] == []
    others = [topic.replace("cell-3", "cell-4") for topic in own] + [topics.command("pause"), "inspector/v1/elsewhere"]
    assert [topic for topic in others if station.says(topic)] == []


def test_only_an_operator_commands_and_a_station_hears_its_own_commands_alone(plant: Plant) -> None:
    third, fourth, operator = (plant.join(user) for user in ("cell-3", "cell-4", "operator"))
    display, recorder = plant.join("display"), plant.join("recorder")
    assert not display.says(f"{LINE}/cell-3/cmd/pause")
    assert not display.says(f"{LINE}/cell-3/cmd/replay")
    assert not recorder.says(f"{LINE}/cell-3/cmd/pause")
    assert recorder.says(f"{LINE}/cell-3/cmd/replay")
    assert operator.says(f"{LINE}/cell-4/cmd/pause")
    assert not operator.says(f"{LINE}/cell-4/result")
    wait_until(lambda: bool(third.heard and fourth.heard))
    assert (third.heard, fourth.heard) == ([f"{LINE}/cell-3/cmd/replay"], [f"{LINE}/cell-4/cmd/pause"])


def test_the_publisher_delivers_through_it_to_a_display(plant: Plant, topics: Topics, make_inspection: Callable[..., Inspection]) -> None:
    display = plant.join("display")
    (plant.folder / "pw").write_text(PASSWORD + "\n", encoding="utf-8")
    (plant.folder / "pw").chmod(0o600)
    mqtt = MqttSection(port=plant.port, username="cell-3", password_file=Path("pw"), ca_file=Path("certs/ca.pem"))
    publisher = Publisher(mqtt, topics, plant.folder / "log.db", {}, base=plant.folder)
    publisher.start()
    with Log(plant.folder / "log.db", "cell-3") as log:
        log.append(make_inspection(1), lambda inspection: result_message(inspection, topics))
        publisher.wake()
        assert publisher.drain(10), publisher.error
        publisher.stop()
    wait_until(lambda: topics.result in display.heard)


def test_nobody_comes_in_without_a_password_or_without_tls(plant: Plant) -> None:
    command = ["mosquitto_pub", "-h", "localhost", "-p", str(plant.port), "-V", "5", "-q", "1", "-t", f"{LINE}/cell-3/result", "-m", "{}"]
    tls = ["--cafile", str(plant.folder / "certs" / "ca.pem")]
    assert subprocess.run([*command, *tls, "-u", "cell-3", "-P", PASSWORD], capture_output=True, check=False).returncode == 0
    assert subprocess.run([*command, *tls], capture_output=True, check=False).returncode != 0
    assert subprocess.run([*command, "-u", "cell-3", "-P", PASSWORD], capture_output=True, check=False).returncode != 0


def test_the_store_is_written_at_once() -> None:
    lines = (EXAMPLES / "inspector.conf").read_text(encoding="utf-8").splitlines()
    assert {"persistence true", "autosave_interval 1", "autosave_on_changes true", "allow_anonymous false"} <= set(lines)
