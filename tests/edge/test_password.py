"""The broker's password stays where it was put: it reaches no command line, no output, no event and no file."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from inspector.cli import main
from inspector.edge.log import Log
from inspector.settings import MqttSection
from tests.conftest import Tiny
from tests.edge.conftest import Mosquitto, Subscriber, wait_until
from tests.station_kit import install_tiny, write_pictures, write_station

PASSWORD = "opensesame-4711"


@pytest.fixture
def station(tmp_path: Path, tiny: Tiny, broker: Mosquitto) -> Path:
    """Return the root of a station whose broker lets the user s1 in with this password alone."""
    users = tmp_path / "users"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(users), "s1", PASSWORD], check=True, capture_output=True)
    broker.acl.write_text("topic read #\nuser s1\ntopic readwrite #\n")
    broker.extra = f"password_file {users}\n"
    broker.start()
    root = tmp_path / "root"
    install_tiny(root, tiny.folder)
    camera = 'kind = "folder"\npath = "frames"\nloop = true\nrate_hz = 20.0'
    write_pictures(write_station(root, cameras_line=camera, mqtt=f'port = {broker.port}\nusername = "s1"').folder / "frames", 2)
    return root


@pytest.fixture(params=[PASSWORD, f"{PASSWORD}-wrong"], ids=["right", "wrong"])
def credential(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a folder of credentials as systemd hands it over, with the password or another one."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "mqtt-password").write_text(request.param + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def daemon(station: Path, credential: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {"CREDENTIALS_DIRECTORY": str(credential), "STATE_DIRECTORY": "", "INSPECTOR_TRACEBACK": "1", "PATH": "/usr/bin:/bin"}
    with (station / "output.txt").open("wb") as output:
        command = [sys.executable, "-m", "inspector", "--root", str(station), "run", "s1"]
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=Path(__file__).parents[2])
    yield process
    process.kill()
    process.wait()


def test_a_running_station_tells_nobody_its_password(
    station: Path, daemon: subprocess.Popen[bytes], broker: Mosquitto, subscribe: Callable[[int, str], Subscriber]
) -> None:
    subscriber = subscribe(broker.port, "#")

    def was_sent_away() -> bool:
        with Log(station / "var/s1/inspector.db", "s1", read_only=True) as log:
            return "broker-lost" in {event.kind for event in log.events()}

    # Either the broker lets it in, or that it did not is told.
    wait_until(lambda: b"s1 started" in (station / "output.txt").read_bytes(), 60.0)
    wait_until(lambda: bool(subscriber.bodies("result")) or was_sent_away())
    assert PASSWORD.encode() not in Path(f"/proc/{daemon.pid}/cmdline").read_bytes()
    daemon.terminate()
    daemon.wait()
    files = [path for path in station.rglob("*") if path.is_file()]
    assert {"output.txt", "inspector.db"} <= {path.name for path in files}
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []


def test_check_tells_nobody_the_password(station: Path, credential: Path) -> None:
    done = CliRunner().invoke(main, ["--root", str(station), "check", "s1"], env={"CREDENTIALS_DIRECTORY": str(credential)})
    assert "broker" in done.output
    assert PASSWORD not in done.output


def test_a_password_cannot_be_given_on_the_command_line_and_is_not_repeated(station: Path) -> None:
    assert "password" not in MqttSection.model_fields
    done = CliRunner().invoke(main, ["--root", str(station), "run", "s1", "--set", f"mqtt.password={PASSWORD}"])
    assert done.exit_code != 0
    assert "mqtt.password" in done.output
    assert PASSWORD not in done.output
