"""``inspector init`` by dialogue and by options alone, down to the check and the first verdict, with the tiny model."""

import shutil
import tomllib
from pathlib import Path

import click
import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from inspector.cli.init_answers import Broker, broker_of, camera_keys, label_list
from inspector.cli.init_cameras import drawn, first_frame, found_cameras
from inspector.cli.init_dialogue import KINDS
from inspector.cli.init_template import TEMPLATES
from inspector.settings import read_station
from tests.conftest import Tiny
from tests.edge.camera.genicam.conftest import Simulated, simulated
from tests.edge.conftest import Mosquitto, broker
from tests.station_kit import write_pictures, write_station

__all__ = ["broker", "simulated"]


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    folder = tmp_path / "shots"
    folder.mkdir()
    write_pictures(folder, 2)
    return folder


@pytest.fixture
def root(tmp_path: Path, tiny: Tiny) -> Path:
    """Return a root whose default model is the tiny one."""
    (tmp_path / "models").mkdir()
    shutil.copytree(tiny.folder, tmp_path / "models" / "inspector-edge")
    return tmp_path


def init(root: Path, *words: str, answers: str = "") -> Result:
    return CliRunner().invoke(main, ["--root", str(root), "init", *words], input=answers, env={"STATE_DIRECTORY": ""})


def test_the_dialogue_makes_a_station_shows_its_picture_checks_it_and_judges_a_first_one(root: Path, shots: Path) -> None:
    answers = f"own\nbracket\ngood, scale\ngood\n{shots}\ny\n\nnone\n"
    done = init(root, "press", "--guided", answers=answers)
    settings = read_station(root / "calibration" / "press")
    product = settings.products["bracket"]
    assert (product.labels, product.good) == (("good", "scale"), "good")
    assert (settings.cameras["line"].kind, settings.cameras["line"].path, settings.mqtt.enabled) == ("folder", shots, False)
    assert "a picture of 128 x 96 pixels" in done.output
    first, shot = (cv2.imread(str(path)) for path in (root / "var/press/first-picture.png", shots / "part-00.png"))
    assert np.array_equal(np.asarray(first), np.asarray(shot))
    assert "settings     ok" in done.output
    assert "first verdict: " in done.output
    assert "The model has not learnt this product" in done.output
    assert (root / "var/press/first-verdict.jpg").is_file()
    assert not (root / "var/press/inspector.db").exists()


def test_a_wrong_picture_leads_back_to_the_cameras(root: Path, shots: Path) -> None:
    other = root / "other"
    other.mkdir()
    write_pictures(other, 1)
    answers = f"own\nbracket\ngood\ngood\n{shots}\nn\nno-camera.xyz\n{other}\ny\n\nnone\n"
    done = init(root, "press", "--guided", "--no-check", answers=answers)
    assert done.exit_code == 0, done.output
    assert "'no-camera.xyz' is no camera" in done.output
    assert read_station(root / "calibration" / "press").cameras["line"].path == other


def test_options_alone_say_everything_that_the_dialogue_asks(root: Path, shots: Path, broker: Mosquitto) -> None:
    broker.start()
    done = init(
        root, "press", "-t", "own", "--product", "bracket", "--labels", "good,scale", "--good", "good", "--camera", str(shots),
        "--broker", f"127.0.0.1:{broker.port}", "--check",
    )  # fmt: skip
    assert f"127.0.0.1:{broker.port}: accepts MQTT 5" in done.output
    assert "first verdict: " in done.output
    settings = read_station(root / "calibration" / "press")
    assert (settings.mqtt.host, settings.mqtt.port, settings.mqtt.enabled) == ("127.0.0.1", broker.port, True)


def test_a_fault_that_the_check_finds_is_told_and_ends_with_1_but_the_station_is_there(root: Path, shots: Path) -> None:
    done = init(root, "press", "-t", "own", "--camera", str(shots), "--broker", "127.0.0.1:1", "--check")
    assert done.exit_code == 1
    assert "above to be cured first; then: inspector check press" in done.output
    assert read_station(root / "calibration" / "press").mqtt.port == 1


def test_an_empty_folder_is_no_fault_of_the_first_verdict(root: Path) -> None:
    done = init(root, "press", "-t", "own", "--broker", "none", "--check")
    assert "first verdict: no picture yet" in done.output


def test_reports_are_imported_where_they_are_named(tmp_path: Path) -> None:
    done = init(tmp_path, "press", "-t", "own", "--reports", str(tmp_path / "absent.csv"))
    assert done.exit_code == 2
    assert "absent.csv' does not exist" in done.stderr


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_takes_labels_camera_and_broker(tmp_path: Path, template: str) -> None:
    done = init(
        tmp_path, "press", "-t", template, "--labels", "fine,bent", "--good", "fine", "--camera", "rtsp://192.0.2.10/live",
        "--broker", "broker.plant:8883", "--broker-ca", str(tmp_path / "ca.pem"), "--broker-user", "press",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    settings = read_station(tmp_path / "calibration" / "press")
    (product,) = settings.products.values()
    (camera,) = settings.cameras.values()
    assert (product.labels, product.good) == (("fine", "bent"), "fine")
    assert (camera.kind, camera.url, camera.path, camera.watch) == ("rtsp", "rtsp://192.0.2.10/live", None, False)
    assert (settings.mqtt.host, settings.mqtt.port, settings.mqtt.username) == ("broker.plant", 8883, "press")
    assert settings.mqtt.ca_file == tmp_path / "ca.pem"
    text = (tmp_path / "calibration/press/station.toml").read_text(encoding="utf-8")
    assert "#" in text
    assert tomllib.loads(text)["cameras"].keys() == settings.cameras.keys()


def test_plain_mqtt_to_another_machine_needs_a_clear_word(tmp_path: Path) -> None:
    refused = init(tmp_path, "press", "-t", "own", "--broker", "broker.plant")
    assert refused.exit_code == 1
    assert "set ca_file for TLS, or insecure = true" in refused.stderr
    assert not (tmp_path / "calibration").exists()
    assert init(tmp_path, "press", "-t", "own", "--broker", "broker.plant", "--insecure").exit_code == 0
    asked = init(tmp_path, "p2", "--guided", "--no-check", "--camera-path", str(tmp_path), answers="own\n\n\n\n\nbroker.plant\n\nn\n")
    assert "results stay in the log for now" in asked.output
    assert not read_station(tmp_path / "calibration" / "p2").mqtt.enabled


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-t", "own", "--camera", "a", "--camera-path", "b"), "name two cameras"),
        (("-t", "own", "--good", "ok"), "--good needs --labels"),
        (("-t", "own", "--insecure"), "need --broker"),
        (("-t", "own", "--broker", "host:port"), "is not HOST, HOST:PORT or none"),
        (("-t", "own", "--camera", "what.xyz"), "is no camera"),
        ((), "Missing option '--template'"),
    ],
)
def test_wrong_use_is_told_and_makes_nothing(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    done = init(tmp_path, "press", *words)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (tmp_path / "calibration").exists()


def test_labels_that_cannot_be_are_told_by_the_settings(tmp_path: Path) -> None:
    done = init(tmp_path, "press", "-t", "own", "--labels", "a,a", "--good", "b")
    assert done.exit_code == 1
    assert "'a' is listed more than once" in done.stderr


def test_cameras_of_this_machine_and_of_the_network_are_found(tmp_path: Path, simulated: Simulated) -> None:
    for name in ("video10", "video2", "tty0"):
        (tmp_path / name).touch()
    simulated()
    sources = [source for source, _ in found_cameras(tmp_path)]
    assert sources == [str(tmp_path / "video2"), str(tmp_path / "video10"), "genicam:127.0.0.1"]


def test_a_live_camera_gives_a_picture_to_be_shown(tmp_path: Path, simulated: Simulated) -> None:
    simulated()
    frame = first_frame(write_station(tmp_path, cameras_line='kind = "genicam"\ndevice = "127.0.0.1"'))
    assert frame is not None
    assert frame.image.shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ("device:0", {"kind": "device", "device": 0}),
        ("/dev/video3", {"kind": "device", "device": "/dev/video3"}),
        ("rtsp://u:p@h/live", {"kind": "rtsp", "url": "rtsp://u:p@h/live"}),
        ("genicam:CAM-1", {"kind": "genicam", "device": "CAM-1"}),
    ],
)
def test_what_a_user_calls_a_camera_becomes_its_keys(source: str, keys: dict[str, object]) -> None:
    assert camera_keys(source) == keys


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("h", "h", 1883), ("h:8883", "h", 8883), ("none", "", 1883), ("192.0.2.1:1", "192.0.2.1", 1), ("::1", "::1", 1883)],
)
def test_a_broker_is_a_host_with_or_without_a_port(text: str, host: str, port: int) -> None:
    assert broker_of(text) == Broker(host, port)


@pytest.mark.parametrize("text", ["h:0", "h:65536", "h:x", ":1883", ""])
def test_a_broker_without_a_host_or_with_a_wrong_port_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        broker_of(text)


def test_labels_are_split_at_commas() -> None:
    assert label_list(" good , scale,,  deep pit ") == ("good", "scale", "deep pit")


def test_a_picture_is_drawn_in_half_blocks_of_its_colours() -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    image[:20] = (255, 0, 0)
    lines = drawn(image).splitlines()
    assert len(lines) == 16
    assert lines[0].count("\u2580") == 64
    assert "38;2;255;0;0" in lines[0]
    assert "255" not in lines[-1]


def test_every_template_is_offered_with_what_it_is_for() -> None:
    assert tuple(KINDS) == TEMPLATES
