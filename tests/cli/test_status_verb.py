"""``inspector status`` beside real logs and real locks, and once beside a running daemon."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from inspector.cli.status import _span
from inspector.core.inspection import Inspection, Verdict
from inspector.daemon import run as run_station
from inspector.edge.json_schemas import schema_folder
from inspector.edge.lock import StationLock, mark_started
from inspector.edge.log import Log
from inspector.edge.outbox import Message
from inspector.settings import StationSettings
from tests.conftest import Tiny
from tests.edge.conftest import wait_until
from tests.station_kit import install_tiny, write_pictures, write_station

Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    write_station(tmp_path)
    return tmp_path


@pytest.fixture
def database(root: Path) -> Path:
    path = root / "var/s1/inspector.db"
    Log(path, "s1").close()
    return path


@pytest.fixture
def lock(database: Path) -> Iterator[StationLock]:
    """The lock of a daemon that has started."""
    lock = StationLock(database)
    lock.acquire()
    mark_started(database, 0)
    yield lock
    lock.release()


def status(root: Path, *options: str) -> Result:
    return CliRunner(env={"COLUMNS": "180"}).invoke(main, ["--root", str(root), "status", "s1", *options])


@pytest.fixture
def ask(root: Path) -> Ask:
    def asked() -> tuple[int, Any]:
        done = status(root, "--json")
        body = json.loads(done.stdout)
        schema = json.loads((schema_folder() / "condition.schema.json").read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(body)
        return done.exit_code, body

    return asked


def note(database: Path, *events: tuple[str, str]) -> None:
    with Log(database, "s1") as log:
        for kind, detail in events:
            log.event(kind, detail)


def judged(number: int, disposition: Any, age_ms: float, *, minutes_ago: float = 5.0, fault: bool = False) -> Inspection:
    instant = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    verdict = Verdict(disposition, (), f"because of {number}", fault)
    return Inspection(f"id-{number}", "s1", "line", f"f{number}", "screw", instant, instant, age_ms, verdict, (), model="tiny@1")


def test_a_station_that_has_never_started_is_told_in_clear_words_and_exits_with_3(root: Path, ask: Ask) -> None:
    code, body = ask()
    assert (code, body["state"], body["disk"], body["last_verdict"]) == (3, "stopped", None, None)
    assert "never started" in body["reason"]
    assert "inspector run s1" in body["reason"]
    done = status(root)
    assert (done.exit_code, "stopped" in done.stdout, "never started" in done.stdout) == (3, True, True)
    assert not (root / "var").exists(), "whoever looks leaves nothing behind"


def test_a_log_that_holds_reports_alone_is_of_a_station_that_never_started(database: Path, ask: Ask) -> None:
    code, body = ask()
    assert (code, body["state"], body["reason"]) == (3, "stopped", "never started; start it with: inspector run s1")


def test_a_running_station_with_nothing_at_fault_exits_with_0(database: Path, lock: StationLock, ask: Ask) -> None:
    note(database, ("started", "model tiny@1"))
    code, body = ask()
    assert (code, body["state"], body["faults"], body["cameras"]) == (0, "running", [], {"line": {"is_lost": False, "counters": None}})
    assert body["since"] is not None
    assert body["metrics"] == "off"


def test_the_last_hour_the_last_verdict_and_the_outbox_are_counted(database: Path, lock: StationLock, ask: Ask) -> None:
    note(database, ("started", "now"))
    with Log(database, "s1") as log:
        log.append(judged(1, "fail", 9000.0, minutes_ago=61.0))
        for number in range(2, 102):
            log.append(judged(number, "pass", float(number)), (lambda _: Message("t", b"{}")) if number == 2 else None)
        log.append(judged(102, "review", 50_000.0, minutes_ago=0.5, fault=True))
    _, body = ask()
    assert body["last_hour"]["verdicts"] == {"pass": 100, "fail": 0, "review": 1}
    assert 51 <= body["last_hour"]["p50_ms"] <= 52
    assert 99 <= body["last_hour"]["p99_ms"] <= 101, "a fault has no latency"
    assert (body["last_verdict"]["seq"], body["last_verdict"]["disposition"], body["model"]) == (102, "review", "tiny@1")
    assert 29.0 <= body["last_verdict"]["age_s"] <= 90.0
    assert (body["outbox"]["messages"], body["outbox"]["oldest_at"] is None) == (1, False)
    assert body["disk"]["log_bytes"] > 0


@pytest.mark.parametrize(
    ("events", "state", "faults"),
    [
        ([("camera-lost", "line: no picture")], "degraded", ["camera-lost"]),
        ([("camera-lost", "line: no picture"), ("camera-back", "line: delivers again")], "running", []),
        ([("broker-lost", "broker 127.0.0.1:1883: cannot connect")], "running", ["broker-lost"]),
        ([("broker-lost", "cannot connect"), ("broker-back", "connected")], "running", []),
        ([("disk-low", "3 MB free"), ("thread-hung", "retention: no sign of life")], "degraded", ["disk-low", "thread-hung"]),
        ([("paused", "mes: lens")], "paused", []),
        ([("paused", "mes: lens"), ("resumed", "by mes")], "running", []),
    ],
)
def test_events_that_began_and_did_not_end_are_open_faults(
    database: Path, lock: StationLock, ask: Ask, events: list[tuple[str, str]], state: str, faults: list[str]
) -> None:
    note(database, ("started", "now"), *events)
    code, body = ask()
    assert (body["state"], [fault["kind"] for fault in body["faults"]]) == (state, faults)
    assert code == (0 if state == "running" and not faults else 1)
    assert body["cameras"]["line"]["is_lost"] == ("camera-lost" in faults)


def test_faults_of_an_earlier_run_that_was_killed_are_not_open(database: Path, ask: Ask) -> None:
    note(database, ("started", "now"), ("camera-lost", "line: gone"), ("broker-lost", "nobody there"))
    assert ask()[0] == 3
    lock = StationLock(database)
    lock.acquire()
    assert (ask()[0], ask()[1]["state"]) == (1, "starting")
    note(database, ("broker-lost", "still nobody"), ("started", "again"))
    mark_started(database, 3)
    code, body = ask()
    assert (code, body["state"], [fault["detail"] for fault in body["faults"]]) == (1, "running", ["still nobody"])
    lock.release()


def test_while_a_log_is_being_made_the_station_is_starting_and_a_foreign_log_is_an_error(root: Path, ask: Ask) -> None:
    path = root / "var/s1/inspector.db"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    lock = StationLock(path)
    lock.acquire()
    code, body = ask()
    assert (code, body["state"], "being made" in body["reason"]) == (1, "starting", True)
    lock.release()
    done = status(root)
    assert (done.exit_code, "the log has version 0" in done.stderr) == (1, True)


def test_a_stop_in_order_and_a_kill_are_told_apart(database: Path, ask: Ask) -> None:
    note(database, ("started", "now"))
    code, body = ask()
    assert (code, body["state"], body["since"], "killed" in body["reason"]) == (3, "stopped", None, True)
    note(database, ("stopped", "{}"))
    code, body = ask()
    assert (code, body["state"], body["reason"]) == (
        3,
        "stopped",
        "its last run ended in order; journalctl -u inspector@s1, or its terminal, tells more",
    )
    assert body["since"] is not None
    assert body["cameras"]["line"]["is_lost"] is None


def test_less_free_space_than_asked_for_exits_with_1(root: Path, database: Path, lock: StationLock, ask: Ask) -> None:
    write_station(root, log=f"min_free_bytes = {10**15}")
    note(database, ("started", "now"))
    assert ask()[0] == 1


def test_a_port_that_is_set_and_answers_nobody_is_told(root: Path, database: Path, lock: StationLock, ask: Ask) -> None:
    write_station(root, health=f"metrics_port = {_free_port()}")
    note(database, ("started", "now"))
    assert ask()[1]["metrics"] == "silent"
    assert "nobody answers there" in status(root).stdout


def test_the_table_tells_people_the_same(root: Path, database: Path, lock: StationLock) -> None:
    note(database, ("started", "now"), ("camera-lost", "line: no [picture]"))
    with Log(database, "s1") as log:
        log.append(judged(1, "pass", 80.0), lambda _: Message("t", b"{}"))
    done = status(root)
    assert done.exit_code == 1
    for words in (
        "degraded since",
        "last verdict",
        "5 min ago: pass",
        "1 message waits",
        "camera-lost since",
        "no [picture]",
        "MB free",
        "lost",
    ):
        assert words in done.stdout, words


def test_a_station_that_does_not_exist_is_an_error(root: Path) -> None:
    done = CliRunner().invoke(main, ["--root", str(root), "status", "s11"])
    assert (done.exit_code, "did you mean 's1'" in done.stderr) == (1, True)


@pytest.mark.parametrize(("seconds", "words"), [(-1.0, "0 s"), (119.0, "119 s"), (121.0, "2 min"), (7300.0, "2 h"), (200_000.0, "2 d")])
def test_a_span_is_told_as_people_say_it(seconds: float, words: str) -> None:
    assert _span(seconds) == words


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def station(root: Path, tiny: Tiny) -> StationSettings:
    install_tiny(root, tiny.folder)
    camera = 'kind = "folder"\npath = "frames"\nloop = true\nrate_hz = 50.0'
    settings = write_station(root, cameras_line=camera, health=f"metrics_port = {_free_port()}")
    write_pictures(settings.folder / "frames", 3)
    return settings


def test_beside_a_running_daemon_it_tells_its_cameras_and_afterwards_the_stop(station: StationSettings, root: Path, ask: Ask) -> None:
    stop, said = threading.Event(), list[str]()
    daemon = threading.Thread(target=run_station, args=(station, root, stop, said.append))
    daemon.start()
    try:
        wait_until(lambda: any(" started: " in line for line in said), 60.0)
        wait_until(lambda: ask()[1]["last_verdict"] is not None, 60.0)
        code, body = ask()
    finally:
        stop.set()
        daemon.join(30)
    assert (code, body["state"], body["outbox"]["messages"], body["metrics"]) == (0, "running", 0, "served")
    assert body["model"].startswith("tiny@")
    assert body["cameras"]["line"]["counters"]["frames"] >= 1
    assert body["cameras"]["line"]["is_lost"] is False
    code, body = ask()
    assert (code, "ended in order" in body["reason"]) == (3, True)
