"""A whole station under commands: daemon, real broker, real log, the tiny model."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inspector.daemon import run
from inspector.edge.log import Log, database_path
from inspector.edge.topics import Topics
from inspector.settings import StationSettings
from tests.conftest import Tiny
from tests.edge.conftest import Mosquitto, Subscriber, wait_until
from tests.edge.test_link import ask, replies
from tests.station_kit import install_tiny, write_pictures, write_station

WATCH = 'kind = "folder"\npath = "frames"\nwatch = true'


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    (tmp_path / "broker").mkdir()
    broker = Mosquitto(program, tmp_path / "broker")
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def root(tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    install_tiny(tmp_path, tiny.folder)
    return tmp_path


@pytest.fixture
def heard(broker: Mosquitto) -> Iterator[Subscriber]:
    subscriber = Subscriber(broker.port, "#")
    yield subscriber
    subscriber.close()


@pytest.fixture
def running(root: Path, broker: Mosquitto, heard: Subscriber) -> Iterator[tuple[StationSettings, Callable[..., list[dict[str, Any]]]]]:
    """Run a station that obeys every command; return its settings and how to ask it."""
    allow = 'allow = ["trigger", "pause", "resume", "reload", "replay", "snapshot", "lot", "product"]'
    settings = write_station(root, cameras_line=WATCH, mqtt=f"port = {broker.port}", commands=allow)
    stop, topics = threading.Event(), Topics.of(settings)
    station = threading.Thread(target=run, args=(settings, root, stop, lambda _: None))
    station.start()

    def carry_out(verb: str, body: object = None, count: int = 1) -> list[dict[str, Any]]:
        before = len(_answers(heard, verb))
        ask(heard, topics, verb, body)
        wait_until(lambda: len(_answers(heard, verb)) >= before + count)
        return _answers(heard, verb)[before:]

    wait_until(lambda: any("running" in body["state"] for body in heard.bodies("/status")))
    wait_until(lambda: _listens(heard, topics))
    yield settings, carry_out
    stop.set()
    station.join(20)
    assert not station.is_alive()


def _listens(heard: Subscriber, topics: Topics) -> bool:
    """Ask until somebody answers; on a busy machine several of these are answered, some of them late."""
    ask(heard, topics, "resume")
    threading.Event().wait(0.2)
    return bool(replies(heard))


def _answers(heard: Subscriber, verb: str) -> list[dict[str, Any]]:
    return [answer for answer in replies(heard) if answer["verb"] == verb]


def test_a_shift_of_commands_is_carried_out_answered_told_and_logged(running: Any, heard: Subscriber, root: Path) -> None:
    settings, carry_out = running
    frames = settings.folder / "frames"
    assert carry_out("lot", {"lot": "L8", "who": "mes"})[0]["result"] == {"product": "screw", "lot": "L8"}
    wait_until(lambda: any(body["lot"] == "L8" for body in heard.bodies("/status")))
    write_pictures(frames, 2)
    wait_until(lambda: len(heard.bodies("/result")) == 2)
    assert {body["lot"] for body in heard.bodies("/result")} == {"L8"}

    assert carry_out("pause", {"reason": "cleaning"})[0]["outcome"] == "done"
    wait_until(lambda: heard.bodies("/status")[-1]["state"] == "paused")
    shutil.copyfile(frames / "part-00.png", frames / "while-paused.png")
    wait_until(lambda: len(heard.bodies("/result")) == 3)
    paused = heard.bodies("/result")[2]
    assert (paused["disposition"], paused["evaluation"], paused["seq"]) == ("review", "Undefined", 3)
    carry_out("resume")

    shot = carry_out("snapshot")[0]["result"]
    assert shot["frame_id"] == "while-paused.png"
    accepted, done = carry_out("replay", {"from_seq": 1}, 2)
    assert (accepted["outcome"], done["outcome"], done["result"]["published"]) == ("accepted", "done", 3)
    assert [body["seq"] for body in heard.bodies("/result")] == [1, 2, 3, 1, 2, 3]
    assert carry_out("replay", {"from_seq": "all"})[0]["outcome"] == "refused"

    def told() -> list[str]:
        with Log(database_path(settings, root), "s1", read_only=True) as log:
            details = [event.detail for event in log.events() if event.kind == "command"]
        return [detail.split(":")[0] for detail in details if "resume" not in detail]

    expected = ["lot from mes", "pause from unnamed", "snapshot from unnamed", *["replay from unnamed"] * 3]
    wait_until(lambda: told() == expected)
    assert heard.bodies("/info")[0]["commands"][0] == "trigger"


def test_a_trigger_gives_the_next_part_its_number_and_answers_with_the_verdict(running: Any, heard: Subscriber) -> None:
    settings, carry_out = running
    ask(heard, Topics.of(settings), "trigger", {"part_id": "SN-7"})
    carry_out("lot", {"lot": None})  # answered after the trigger was taken
    write_pictures(settings.folder / "frames", 1)
    wait_until(lambda: len(_answers(heard, "trigger")) == 1)
    answer = _answers(heard, "trigger")[0]
    assert (answer["verb"], answer["outcome"], answer["result"]["part_id"]) == ("trigger", "done", "SN-7")
    wait_until(lambda: bool(heard.bodies("/result")))  # it goes by the outbox, the answer directly
    assert heard.bodies("/result")[0]["part_id"] == "SN-7"


def test_sighup_reloads_a_station_and_wrong_settings_leave_it_as_it_is(root: Path) -> None:
    settings = write_station(root, cameras_line=WATCH)
    command = [sys.executable, "-m", "inspector", "--root", str(root), "run", "s1", "--set", "decision.fail_above=0.5"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as station:
        assert station.stderr is not None
        lines = iter(station.stderr.readline, "")

        def until(word: str) -> str:
            return next(line for line in lines if word in line)

        until(" started: ")
        file = settings.folder / "station.toml"
        good = file.read_text(encoding="utf-8")
        file.write_text(good + "[decision]\npass_above = 0.99\n", encoding="utf-8")
        os.kill(station.pid, signal.SIGHUP)
        assert "decision.pass_above" in until(" reloaded: ")
        file.write_text(good + "[decision]\npass_above = 2.0\n", encoding="utf-8")
        os.kill(station.pid, signal.SIGHUP)
        assert "nothing was changed" in until(" reload-failed: ")
        station.terminate()
        until(" stopped: ")
        assert station.wait(20) == 0
