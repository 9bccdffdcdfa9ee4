"""The daemon end to end: the tiny model, a folder of pictures, the real log, a real broker or none."""

import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest
from paho.mqtt import subscribe

from inspector.core.calibration import CameraCalibration
from inspector.daemon import open_judge, run
from inspector.demo.broker import Broker, running_broker
from inspector.demo.subscriber import Subscriber
from inspector.edge.health.watch import Watch
from inspector.edge.lock import StationLock
from inspector.edge.log import Log, database_path
from inspector.edge.systemd import Systemd
from inspector.errors import CheckpointError, LogError, RestartNeeded
from inspector.scene.reference import reference_of
from inspector.scene.watch import LOOKS
from inspector.settings import LogSection, StationSettings, read_station
from inspector.settings.camera_file import write_camera
from inspector.settings.scene_picture import write_scene
from tests.conftest import Tiny
from tests.edge.conftest import wait_until
from tests.scene_kit import view
from tests.station_kit import (
    ENCODER,
    break_log,
    export_encoder_into,
    install_tiny,
    install_tiny_with_encoder,
    write_odd_pictures,
    write_pictures,
    write_station,
)

NO_BROKER = "port = 1"
"""A port on which nobody answers."""


@pytest.fixture
def root(tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    install_tiny(tmp_path, tiny.folder)
    return tmp_path


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    folder = tmp_path / "broker"
    folder.mkdir()
    with running_broker(folder) as started:
        yield started


def frames_of(settings: StationSettings) -> Path:
    return settings.folder / "frames"


def go(settings: StationSettings, root: Path, stop: threading.Event | None = None) -> list[str]:
    """Run a station until its replay is over; return what it said."""
    said: list[str] = []
    run(settings, root, stop or threading.Event(), said.append)
    return said


def test_every_file_has_exactly_one_row_whatever_is_in_it(root: Path) -> None:
    settings = write_station(root)
    names = {*write_pictures(frames_of(settings), 3)}
    hopeless = write_odd_pictures(frames_of(settings))
    go(settings, root)
    with Log(database_path(settings, root), "s1", read_only=True) as log:
        rows = list(log.find())
        events = [event.kind for event in log.events()]
    files = {path.name for path in frames_of(settings).iterdir()}
    assert names < files
    assert sorted(row.frame_id for row in rows) == sorted(files)
    assert [row.seq for row in rows] == list(range(1, len(files) + 1))
    assert {row.frame_id for row in rows if row.verdict.fault} == hopeless
    assert all(row.verdict.reason for row in rows)
    sizes = {row.frame_id: (row.width_px, row.height_px) for row in rows}
    assert (sizes["turned.jpg"], sizes["grey.png"]) == ((96, 128), (128, 96))
    assert events == ["started", "stopped"]


def test_without_a_broker_the_station_works_and_its_outbox_keeps_every_message(root: Path) -> None:
    settings = write_station(root, mqtt=NO_BROKER)
    write_pictures(frames_of(settings), 4)
    said = go(settings, root)
    with Log(database_path(settings, root), "s1", read_only=True) as log:
        waiting = [row.message.topic.rsplit("/", 1)[1] for row in log.outbox.pending(100)]
        assert len(list(log.find())) == 4
        assert waiting.count("result") == 4
        assert waiting.count("event") == 2
        assert "broker-lost" in [event.kind for event in log.events()]
    assert "s1 outbox-waiting: 6 message(s) wait in the outbox; they are published at the next start" in said


def test_what_waited_without_a_broker_is_published_at_the_next_start(root: Path, broker: Broker) -> None:
    settings = write_station(root, mqtt=NO_BROKER)
    write_pictures(frames_of(settings), 3)
    go(settings, root)
    settings = write_station(root, mqtt=f"port = {broker.port}")
    subscriber = Subscriber(broker.port, settings.mqtt.root, lambda _: None)
    go(settings, root)
    subscriber.wait_for(6, 10)
    subscriber.close()
    with Log(database_path(settings, root), "s1", read_only=True) as log:
        rows, waiting = list(log.find()), log.outbox.depth()
    assert [row.seq for row in rows] == [1, 2, 3, 4, 5, 6], "a second replay goes on where the first ended"
    assert [arrival.result["seq"] for arrival in subscriber.arrivals] == [1, 2, 3, 4, 5, 6]
    assert {arrival.result["inspection_id"] for arrival in subscriber.arrivals} == {row.inspection_id for row in rows}
    assert waiting == 0
    wait_until(lambda: subscriber.states[-1:] == ["stopped"], 1.0)
    assert "running" in subscriber.states


def test_a_watched_folder_is_judged_once_however_often_the_station_starts(root: Path) -> None:
    settings = write_station(root, cameras_line='kind = "folder"\npath = "frames"\nwatch = true')
    names = write_pictures(frames_of(settings), 3)
    for expected in (3, 4):
        if expected == 4:
            shutil.copyfile(frames_of(settings) / names[0], frames_of(settings) / "late.png")
        stop = threading.Event()
        watcher = threading.Thread(target=_stop_at, args=(database_path(settings, root), expected, stop))
        watcher.start()
        go(settings, root, stop)
        watcher.join()
        with Log(database_path(settings, root), "s1", read_only=True) as log:
            rows = list(log.find())
        assert [row.seq for row in rows] == list(range(1, expected + 1))
        assert len({row.frame_id for row in rows}) == expected


def _stop_at(path: Path, count: int, stop: threading.Event) -> None:
    """Stop the station once it has logged so many."""

    def has_logged() -> bool:
        if not path.is_file():
            return False
        try:
            with Log(path, "s1", read_only=True) as log:
                return (log.last_seq() or 0) >= count
        except LogError:  # not migrated yet
            return False

    try:
        wait_until(has_logged, 30.0)
    finally:
        stop.set()


def test_an_altered_model_is_refused_by_name_and_hash_and_the_broker_is_told_why(root: Path, tiny: Tiny, broker: Broker) -> None:
    settings = write_station(root, mqtt=f"port = {broker.port}")
    write_pictures(frames_of(settings), 1)
    (root / "models" / "tiny").unlink()
    install_tiny_with_encoder(root, tiny.folder, "test@0")
    graph = root / "models" / "tiny" / "decoder.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match=r"decoder\.onnx: sha256 [0-9a-f]{12}\.\.\., expected [0-9a-f]{12}\.\.\."):
        go(settings, root)
    done = inspector(root, "run", "s1")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("error: ")
    assert str(graph) in done.stderr
    status = _retained_status(broker, settings)
    assert status["state"] == "stopped"
    assert "decoder.onnx: sha256" in status["reason"]


def _retained_status(broker: Broker, settings: StationSettings) -> dict[str, str]:
    """Return the status that the broker keeps for those who come later."""
    topic = f"{settings.mqtt.root}/+/+/+/+/status"
    message: Any = subscribe.simple(topic, hostname="127.0.0.1", port=broker.port)  # type: ignore[no-untyped-call]
    found: dict[str, str] = json.loads(message.payload)
    return found


def inspector(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "inspector", "--root", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_log_that_cannot_be_written_stops_the_station_and_says_why(root: Path) -> None:
    settings = write_station(root)
    write_pictures(frames_of(settings), 2)
    path = database_path(settings, root)
    with Log(path, "s1"):
        pass
    break_log(path)
    with pytest.raises(LogError, match=r"inspector\.db: cannot log inspection .*disk is full"):
        go(settings, root)
    done = inspector(root, "run", "s1")
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    with Log(path, "s1", read_only=True) as log:
        assert list(log.find()) == []


def test_sigterm_ends_a_running_station_with_everything_logged_and_told(root: Path, broker: Broker) -> None:
    camera = 'kind = "folder"\npath = "frames"\nloop = true\nrate_hz = 50.0'
    settings = write_station(root, cameras_line=camera, mqtt=f"port = {broker.port}")
    write_pictures(frames_of(settings), 5)
    subscriber = Subscriber(broker.port, settings.mqtt.root, lambda _: None)
    command = [sys.executable, "-m", "inspector", "--root", str(root), "run", "s1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: len(subscriber.arrivals) >= 8, 40.0)
        process.terminate()
        _, said = process.communicate(timeout=10)
    finally:
        process.kill()
        process.wait()
    with Log(database_path(settings, root), "s1", read_only=True) as log:
        rows = list(log.find())
        closing = [json.loads(event.detail) for event in log.events() if event.kind == "stopped"]
    subscriber.wait_for(len(rows), 5)
    subscriber.close()
    assert process.returncode == 0, said
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert {row.inspection_id for row in rows} == {arrival.result["inspection_id"] for arrival in subscriber.arrivals}
    assert [event["logged"] for event in closing] == [len(rows)]
    assert _retained_status(broker, settings)["state"] == "stopped"


PROGRAM = """
import json, sys, threading
from pathlib import Path
from inspector.daemon import run
from inspector.settings import read_station
root = Path(sys.argv[1])
tally = run(read_station(root / "calibration" / "s1"), root, threading.Event(), lambda line: None)
loaded = sorted({name.split(".")[0] for name in sys.modules} & {"torch", "transformers", "sentence_transformers", "onnx"})
# VmHWM, not ru_maxrss: the latter remembers the parent that forked.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(json.dumps({"logged": tally.logged, "loaded": loaded, "peak_mib": int(peak.split()[1]) / 1024}))
"""


@pytest.fixture(scope="module")
def with_reports(tmp_path_factory: pytest.TempPathFactory, tiny: Tiny) -> Path:
    """A station with the real report encoder and four reports, one of them from the future."""
    root = tmp_path_factory.mktemp("with-reports")
    revision = _revision(export_encoder_into(root / "models"))
    install_tiny_with_encoder(root, tiny.folder, revision)
    rows = ["a1,2026-01-05,L7,pit at the edge", "a2,2026-01-06,L7,surface ok", "a3,2026-01-07,L8,scale", "a4,2099-01-01,L7,pit"]
    settings = write_station(root, reports="max_reports = 2", cameras_line='kind = "folder"\npath = "frames"\nmanifest = "frames.csv"')
    names = write_pictures(frames_of(settings), 4)
    lots = ["L7", "L8", "L7", "none"]
    manifest = ["file,lot,recorded_at", *(f"{name},{lot},2026-02-01T00:00:00Z" for name, lot in zip(names, lots, strict=True))]
    (settings.folder / "frames.csv").write_text("\n".join(manifest) + "\n", encoding="utf-8")
    table = ["report_id,written_at,lot,text,product", *(f"{row},screw" for row in rows)]
    (root / "reports.csv").write_text("\n".join(table) + "\n", encoding="utf-8")
    return root


def _revision(folder: Path) -> str:
    line = next(line for line in (folder / "encoder.toml").read_text(encoding="utf-8").splitlines() if line.startswith("revision"))
    return line.split('"')[1]


def test_a_running_station_with_reports_has_loaded_neither_torch_nor_transformers(with_reports: Path) -> None:
    imported = inspector(with_reports, "reports", "import", "s1", str(with_reports / "reports.csv"))
    assert imported.returncode == 0, imported.stderr
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(with_reports)], capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["logged"], found["loaded"]) == (4, [])
    assert found["peak_mib"] < 600
    settings = read_station(with_reports / "calibration" / "s1")
    with Log(database_path(settings, with_reports), "s1", read_only=True) as log:
        read = {row.frame_id: row.report_ids for row in log.find()}
    assert read == {"part-00.png": ("a1", "a2"), "part-01.png": ("a3",), "part-02.png": ("a1", "a2"), "part-03.png": ()}


def test_reports_of_another_encoder_than_the_models_are_refused(root: Path, with_reports: Path) -> None:
    (root / "models" / ENCODER).symlink_to(with_reports / "models" / ENCODER)
    settings = write_station(root, reports="max_reports = 2")
    with pytest.raises(CheckpointError, match=r"tiny reads reports encoded by test@0"), open_judge(settings, root):
        pass


def test_labels_that_the_model_cannot_write_apart_are_refused_before_the_first_part(root: Path) -> None:
    settings = write_station(root, products_strip='labels = ["scale_pit", "scale pit"]')
    with pytest.raises(CheckpointError, match=r"products\.strip"), open_judge(settings, root):
        pass


def test_systemd_hears_ready_life_signs_and_the_fault_that_ends_the_station(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(Systemd, "_notify", lambda _self, *lines: heard.extend(lines))
    monkeypatch.setenv("WATCHDOG_USEC", "2000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    settings = write_station(root)
    write_pictures(frames_of(settings), 3)
    go(settings, root)
    kinds = [line.split("=")[0] for line in heard]
    assert kinds[0] == "EXTEND_TIMEOUT_USEC"
    assert kinds.index("READY") < kinds.index("WATCHDOG") < kinds.index("STOPPING")
    break_log(database_path(settings, root))
    with pytest.raises(LogError):
        go(settings, root)
    assert heard[-1].startswith("STATUS=fault: ")


def test_a_camera_that_is_lost_is_an_event_and_a_part_for_review(root: Path) -> None:
    settings = write_station(root, cameras_line='kind = "folder"\npath = "frames"\nwatch = true')
    stop = threading.Event()
    watcher = threading.Thread(target=_stop_at, args=(database_path(settings, root), 1, stop))
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if " started: " in line:
            frames_of(settings).rmdir()
            watcher.start()

    run(settings, root, stop, say)
    watcher.join()
    with Log(database_path(settings, root), "s1", read_only=True) as log:
        rows, kinds = list(log.find()), [event.kind for event in log.events()]
    assert [row.verdict.fault for row in rows] == [True]
    assert "there is no such folder" in rows[0].verdict.reason
    assert kinds == ["started", "camera-lost", "stopped"]


def test_frames_that_wait_when_the_station_is_told_to_stop_are_judged(root: Path) -> None:
    settings = write_station(root)
    names = write_pictures(frames_of(settings), 3)
    stop = threading.Event()

    def say(line: str) -> None:
        if " started: " in line:  # the loop has not begun: let the camera fill the queue, then stop
            wait_until(lambda: "feed line" not in [thread.name for thread in threading.enumerate()])
            stop.set()

    tally = run(settings, root, stop, say)
    with Log(database_path(settings, root), "s1", read_only=True) as log:
        assert [row.frame_id for row in log.find()] == names
    assert tally.logged == 3


def test_what_another_thread_told_last_is_still_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, stop = threading.Event(), threading.Event()

    def retain(path: Path, rules: LogSection, stop: threading.Event, on_fault: Callable[[str, str | None], None], **_: Any) -> None:
        on_fault("retention-failed", "the disk does not answer")
        told.set()

    monkeypatch.setattr("inspector.edge.retention_thread.retain", retain)
    settings = write_station(root)
    write_pictures(frames_of(settings), 1)
    stop.set()
    run(settings, root, stop, lambda _: wait_until(told.is_set))
    with Log(database_path(settings, root), "s1", read_only=True) as log:
        assert [event.kind for event in log.events()] == ["started", "retention-failed", "stopped"]


def test_a_damaged_log_is_set_aside_and_the_station_goes_on_with_what_can_be_read(root: Path) -> None:
    settings = write_station(root)
    write_pictures(frames_of(settings), 2)
    path = database_path(settings, root)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"SQLite format 3\0" + b"\xa5" * 8176)
    go(settings, root)
    with Log(path, "s1", read_only=True) as log:
        assert len(list(log.find())) == 2
        assert [event.kind for event in log.events()] == ["log-recovered", "started", "stopped"]
    assert [file.read_bytes()[16:20] for file in path.parent.glob("*.damaged-*Z")] == [b"\xa5" * 4]


def test_memory_above_its_limit_stops_the_station_in_order_and_asks_for_a_restart(root: Path) -> None:
    settings = write_station(root)
    names = write_pictures(frames_of(settings), 1)
    health = settings.health.model_copy(update={"max_rss_bytes": 1})
    with pytest.raises(RestartNeeded, match="max_rss_bytes"):
        go(settings.model_copy(update={"health": health}), root)
    with Log(database_path(settings, root), "s1", read_only=True) as log:
        assert {row.frame_id for row in log.find()} <= {*names}
        assert {"memory-limit", "stopped"} <= {event.kind for event in log.events()}


def test_a_moved_camera_is_an_event_and_changes_no_verdict(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector.scene.watch._PERIOD_NS", 0)
    settings = write_station(root)
    for number in range(2 * LOOKS):
        cv2.imwrite(str(frames_of(settings) / f"{number:02d}.png"), view(number, shift=(24, 0)))
    go(settings, root)
    reference = reference_of([view(number) for number in range(10)], "s1").reference
    named = replace(reference, picture=write_scene(settings.folder, "line", reference.grey))
    write_camera(settings.folder, "line", CameraCalibration(reference=named))
    watched = settings.model_copy(update={"log": LogSection(path=root / "watched.db", keep_images="none")})
    said = go(watched, root)
    with Log(database_path(settings, root), "s1", read_only=True) as log, Log(root / "watched.db", "s1", read_only=True) as other:
        without, with_reference = (
            [(row.frame_id, row.verdict.disposition, row.label, row.confidence) for row in each.find()] for each in (log, other)
        )
        told = [event.kind for event in other.events() if event.kind.startswith("camera")]
    assert without == with_reference
    assert told == ["camera-moved"]
    assert any("camera-moved: line: the camera has moved" in line for line in said)


def test_a_port_for_metrics_that_is_taken_is_one_line_that_names_key_and_port(root: Path) -> None:
    write_pictures(frames_of(write_station(root)), 1)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = int(other.getsockname()[1])
        done = inspector(root, "run", "s1", "--set", f"health.metrics_port={port}")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert f"health.metrics_port: 127.0.0.1:{port} cannot be opened" in done.stderr
    assert "Traceback" not in done.stderr


def test_figures_that_hang_hold_up_no_result(root: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, release = threading.Event(), threading.Event()

    def hangs(*_: Any) -> Any:
        asked.set()
        release.wait()
        raise OSError("the disk was dead")

    monkeypatch.setattr("inspector.orders.opening.metrics_message", hangs)
    camera = 'kind = "folder"\npath = "frames"\nwatch = true'
    settings = write_station(root, cameras_line=camera, mqtt=f"port = {broker.port}")
    subscriber = Subscriber(broker.port, settings.mqtt.root, lambda _: None)
    stop = threading.Event()
    station = threading.Thread(target=go, args=(settings, root, stop))
    station.start()
    assert asked.wait(60.0)
    write_pictures(frames_of(settings), 3)
    subscriber.wait_for(3, 20)
    release.set()
    stop.set()
    station.join(30)
    subscriber.close()
    assert [arrival.result["seq"] for arrival in subscriber.arrivals] == [1, 2, 3]


@pytest.mark.parametrize("who", ["camera line", "retention"])
def test_while_a_thread_hangs_systemd_gets_no_pings(root: Path, monkeypatch: pytest.MonkeyPatch, who: str) -> None:
    heard, release, stop = list[str](), threading.Event(), threading.Event()
    monkeypatch.setattr(Systemd, "_notify", lambda _self, *lines: heard.extend(lines))
    monkeypatch.setenv("WATCHDOG_USEC", "2")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    looks, look = list[bool](), Watch.look

    def counted(watch: Watch, note: Callable[[str, str], None]) -> None:
        look(watch, note)
        looks.append("thread-hung" in heard)
        if looks.count(True) == 4:
            release.set()

    def hangs(*_: Any, **__: Any) -> None:
        release.wait()

    def retain(path: Path, rules: LogSection, stop: threading.Event, on_fault: object, *, beat: Callable[[], None]) -> None:
        beat()
        release.wait()
        while not stop.wait(0.01):
            beat()

    monkeypatch.setattr(Watch, "look", counted)
    if who == "retention":
        monkeypatch.setattr("inspector.edge.retention_thread.retain", retain)
        monkeypatch.setattr("inspector.edge.retention_thread._PATIENCE_S", 0.3)
    else:
        monkeypatch.setattr("inspector.edge.camera.folder.FolderCamera.read", hangs)
        monkeypatch.setattr("inspector.edge.camera.line._patience_s", lambda _: 0.3)
    settings = write_station(root, cameras_line='kind = "folder"\npath = "frames"\nwatch = true')

    def say(line: str) -> None:
        kind = line.split()[1].rstrip(":")
        heard.append(kind)
        if kind == "thread-back":
            stop.set()

    run(settings, root, stop, say)
    began, ended = heard.index("thread-hung"), heard.index("thread-back")
    assert "WATCHDOG=1" in heard[:began] or who == "retention"
    while_hung = heard[began : heard.index("STATUS=running", began)]
    assert while_hung.count("WATCHDOG=1") == 1, "the ping that goes with its return, and none before"
    assert while_hung[-1] == "WATCHDOG=1"
    assert looks.count(True) >= 4
    with Log(database_path(settings, root), "s1", read_only=True) as log:
        details = [event.detail for event in log.events() if event.kind == "thread-hung"]
    assert ended > began
    assert [detail.partition(":")[0] for detail in details] == [who]


def test_without_mqtt_too_a_second_daemon_of_a_station_is_refused(root: Path) -> None:
    settings = write_station(root)
    write_pictures(frames_of(settings), 1)
    lock = StationLock(database_path(settings, root))
    lock.acquire()
    with pytest.raises(LogError, match="another daemon of this station is running"):
        go(settings, root)
    lock.release()
    go(settings, root)
    with Log(database_path(settings, root), "s1", read_only=True) as log:
        assert len(list(log.find())) == 1
