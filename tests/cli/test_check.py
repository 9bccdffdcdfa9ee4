import json
import shutil
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from inspector.cli import main
from inspector.cli.check import CHECKS, examine
from inspector.cli.findings import Found
from tests.conftest import Tiny

SETTINGS = """
[products.screw]
labels = ["good", "scale", "scale pit"]
good = "good"

[cameras.line]
kind = "folder"
path = "frames"

[model]
checkpoint = "tiny"

[reports]
max_reports = 0

[log]
min_free_bytes = 1

[mqtt]
enabled = false
"""


@pytest.fixture
def root(tmp_path: Path, tiny: Tiny) -> Path:
    """Return a root with the station press, whose every part is right."""
    shutil.copytree(tiny.folder, tmp_path / "models" / "tiny")
    folder = tmp_path / "calibration" / "press"
    (folder / "frames").mkdir(parents=True)
    (folder / "station.toml").write_text(SETTINGS, encoding="utf-8")
    picture = np.random.default_rng(5).integers(0, 255, (120, 160, 3), np.uint8)
    cv2.imwrite(str(folder / "frames" / "a.png"), picture)
    return tmp_path


def settings(root: Path, text: str) -> None:
    (root / "calibration" / "press" / "station.toml").write_text(text, encoding="utf-8")


def findings(root: Path, check: str) -> list[tuple[str, str]]:
    return [(line.state, line.text) for line in examine(root, "press") if line.check == check]


def only(root: Path, check: str) -> tuple[str, str]:
    [line] = findings(root, check)
    return line


@contextmanager
def listener(answer: bytes) -> Iterator[int]:
    """Listen on a port and answer every connection with the same bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_station_without_a_fault_is_ready(root: Path) -> None:
    done = CliRunner().invoke(main, ["--root", str(root), "check", "press"])
    assert done.exit_code == 0, done.output
    *lines, last = done.output.splitlines()
    assert last == "press: ready"
    assert {line.split()[0] for line in lines} == {"settings", *(check.name for check in CHECKS)}
    assert not [line for line in lines if "FAULT" in line]
    assert any("160x120 pixels" in line for line in lines)
    assert any("3 labels, good is good" in line for line in lines)


def test_every_fault_is_listed_at_once_and_the_exit_code_is_1(root: Path) -> None:
    folder = root / "calibration" / "press"
    (root / "models" / "tiny" / "decoder.onnx").unlink(missing_ok=True)
    [weights] = sorted((root / "models" / "tiny").glob("vision*.onnx"))[:1]
    weights.write_bytes(weights.read_bytes()[:-1])
    (folder / "decision.toml").write_text("[screw]\npass_above = 2.0\n[scrw]\n")
    (folder / "camera.toml").write_text("[lin]\n")
    shutil.rmtree(folder / "frames")
    (root / "var").write_text("in the way")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    broken = SETTINGS.replace("enabled = false", f"port = {port}").replace("min_free_bytes = 1", f"min_free_bytes = {10**18}")
    settings(root, f"{broken}\n[qualty]\nblur_min = 1.0\n[health]\nstop_timeout_s = -1\n")
    done = CliRunner().invoke(main, ["--root", str(root), "check", "press", "--json"])
    assert done.exit_code == 1
    report = json.loads(done.output)
    faults: dict[str, list[str]] = {}
    for line in report["findings"]:
        if line["state"] == "FAULT":
            faults.setdefault(line["check"], []).append(line["text"])
    assert report["ok"] is False
    assert {"settings", "decision", "calibration", "model", "camera", "broker", "disk", "log"} == faults.keys()
    assert [text.partition("station.toml: ")[2].partition(":")[0] for text in faults["settings"]] == ["health.stop_timeout_s", "qualty"]
    assert len(faults["model"]) == 2
    assert "did you mean [line]?" in faults["calibration"][0]


def test_a_station_that_is_not_there_is_one_fault(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--root", str(tmp_path), "check", "press"])
    assert done.exit_code == 1
    assert "there is no such file; create it with: inspector init press" in done.output


def test_a_check_is_skipped_where_its_own_section_is_wrong(root: Path) -> None:
    settings(root, SETTINGS.replace("enabled = false", 'port = "x"'))
    assert only(root, "broker") == ("note", "not checked: [mqtt] of station.toml must be right first")
    assert only(root, "camera")[0] == "ok"


def test_one_wrong_camera_does_not_keep_the_other_from_being_tried(root: Path) -> None:
    settings(root, f'{SETTINGS}\n[cameras.two]\nkind = "tape"\n')
    assert [state for state, _ in findings(root, "camera")] == ["note", "ok"]


def test_a_check_that_breaks_is_a_fault_and_the_next_one_runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Iterator[Found]:
        raise ZeroDivisionError("x")

    monkeypatch.setattr("shutil.disk_usage", broken)
    assert only(root, "disk") == ("FAULT", "the check itself failed: ZeroDivisionError: x")
    assert only(root, "log")[0] == "note"


def test_a_label_that_reads_like_another_is_a_fault(root: Path) -> None:
    settings(root, SETTINGS.replace('"scale pit"', '"scale pit", "scale_pit"'))
    state, text = only(root, "labels")
    assert state == "FAULT"
    assert "read the same" in text


def test_a_missing_provider_is_a_fault(root: Path) -> None:
    settings(root, SETTINGS.replace('checkpoint = "tiny"', 'checkpoint = "tiny"\nproviders = ["AbacusExecutionProvider"]'))
    assert ("FAULT", "AbacusExecutionProvider") in [(state, text.split('"')[1]) for state, text in findings(root, "model") if '"' in text]


def test_an_encoder_that_is_not_there_is_a_fault_with_the_command(root: Path) -> None:
    settings(root, SETTINGS.replace("max_reports = 0", "max_reports = 4"))
    state, text = only(root, "encoder")
    assert state == "FAULT"
    assert "inspector reports" in text


def test_a_region_outside_the_picture_is_a_fault(root: Path) -> None:
    settings(root, f"{SETTINGS}\n[regions.rim]\nbox_px = [200, 0, 40, 40]\n[regions.edge]\nbox_px = [120, 0, 60, 60]\n")
    assert [state for state, _ in findings(root, "camera")] == ["ok", "FAULT", "note"]


def test_a_picture_too_poor_to_be_judged_is_noted(root: Path) -> None:
    settings(root, f"{SETTINGS}\n[quality]\nblur_min = 1e9\n")
    (_, seen), (state, text) = findings(root, "camera")
    assert "160x120" in seen
    assert state == "note"
    assert "would go to review" in text


def test_a_replay_without_a_picture_is_a_fault(root: Path) -> None:
    (root / "calibration" / "press" / "frames" / "a.png").unlink()
    assert only(root, "camera")[0] == "FAULT"


def test_a_picture_that_cannot_be_read_is_a_fault(root: Path) -> None:
    (root / "calibration" / "press" / "frames" / "a.png").write_text("no picture")
    assert only(root, "camera")[0] == "FAULT"


def test_a_calibrated_product_shows_the_thresholds_in_force(root: Path) -> None:
    (root / "calibration" / "press" / "decision.toml").write_text("[screw]\npass_above = 0.93\nfitted_on = 110\n")
    settings(root, f"{SETTINGS}\n[decision]\nfail_above = 0.7\n")
    assert only(root, "decision") == ("ok", "screw: pass_above 0.93, fail_above 0.7, fitted on 110 pictures, no escape rate is promised")


def test_a_log_that_exists_is_counted(root: Path) -> None:
    from inspector.edge.schema import open_database  # noqa: PLC0415 - only this test needs a log

    path = root / "var" / "press" / "inspector.db"
    open_database(path).close()
    assert only(root, "log") == ("ok", f"{path}: 0 inspections, 0 rows in the outbox, 0 reports")


def test_a_log_that_another_program_holds_is_a_fault(root: Path) -> None:
    from inspector.edge.schema import open_database  # noqa: PLC0415 - as above

    path = root / "var" / "press" / "inspector.db"
    open_database(path).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    state, text = only(root, "log")
    holder.close()
    assert state == "FAULT"
    assert "locked" in text


def test_something_that_is_no_broker_is_told_from_one(root: Path) -> None:
    with listener(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        settings(root, SETTINGS.replace("enabled = false", f"port = {port}"))
        state, text = only(root, "broker")
    assert state == "FAULT"
    assert "does not speak MQTT" in text


def test_a_password_file_that_others_may_read_is_a_fault(root: Path) -> None:
    secret = root / "calibration" / "press" / "secret"
    secret.write_text("hunter2")
    secret.chmod(0o644)
    settings(root, SETTINGS.replace("enabled = false", 'username = "press"\npassword_file = "secret"'))
    state, text = only(root, "broker")
    assert state == "FAULT"
    assert "chmod 600" in text


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[int]:
    """Start the real broker, which lets only the user press with the password pw in, and return its port."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    tool = shutil.which("mosquitto_passwd")
    if program is None or tool is None:
        pytest.skip("mosquitto is not installed")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    words = tmp_path / "words"
    words.touch(0o600)
    subprocess.run([tool, "-b", str(words), "press", "pw"], check=True, capture_output=True)
    conf = tmp_path / "mosquitto.conf"
    conf.write_text(f"user root\nlistener {port} 127.0.0.1\npassword_file {words}\n")
    broker = subprocess.Popen([program, "-c", str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not answers(port):
            assert broker.poll() is None
        yield port
    finally:
        broker.kill()
        broker.wait()


def test_a_real_broker_accepts_the_right_password_alone(root: Path, mosquitto: int) -> None:
    secret = root / "calibration" / "press" / "secret"
    secret.touch(0o600)
    mqtt = f'port = {mosquitto}\nusername = "press"\npassword_file = "secret"'
    settings(root, SETTINGS.replace("enabled = false", mqtt))
    secret.write_text("pw")
    assert only(root, "broker") == ("ok", f"127.0.0.1:{mosquitto}: accepts MQTT 5")
    secret.write_text("wrong")
    state, text = only(root, "broker")
    assert state == "FAULT"
    assert "check username, password and the broker's access list" in text
