"""The watchdog is fed while all threads live, and only then."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from inspector.core.frame import Frame
from inspector.edge.camera import Backoff, Feed, FrameQueue, Origin
from inspector.edge.health.pulse import Pulse
from inspector.edge.health.watch import Watch
from inspector.edge.instants import now
from inspector.edge.log import Log
from inspector.edge.retention import sweep
from inspector.edge.retention_thread import RetentionThread
from inspector.edge.systemd import Systemd
from inspector.errors import CameraLost
from inspector.settings import LogSection
from tests.edge.conftest import MakeInspection, wait_until


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Part:
    """Something that lives until it is told otherwise."""

    alive: bool = True


class Heard(Systemd):
    """A service manager that writes down what it hears; its watchdog waits 2 s."""

    def __init__(self) -> None:
        super().__init__({"WATCHDOG_USEC": "2000000"})
        self.lines: list[str] = []

    def _notify(self, *lines: str) -> None:
        self.lines.extend(lines)


class Source:
    """A camera whose read does what it is told."""

    name = "line"
    origin = Origin("s1", "line", every_frame_counts=False)
    every_frame_counts, finished, dropped = False, False, 0

    def __init__(self, read: Callable[[], Frame | None]) -> None:
        self._read = read

    def read(self, timeout_s: float) -> Frame | None:
        return self._read()

    def close(self) -> None:
        pass


def test_pings_come_once_a_period_while_all_live() -> None:
    systemd, clock = Heard(), Clock()
    watch = Watch(systemd, {"retention": Part()}, clock)
    for step_s in (0.0, 0.5, 0.4, 0.2, 5.0):
        clock.now_s += step_s
        watch.look(lambda *_: None)
    assert systemd.lines == ["WATCHDOG=1"] * 3


def test_without_a_watchdog_nobody_is_pinged_and_what_hangs_is_told_all_the_same() -> None:
    told: list[tuple[str, str]] = []
    watch = Watch(Systemd({}), {"retention": Part(alive=False)})
    watch.look(lambda *event: told.append(event))
    assert [kind for kind, _ in told] == ["thread-hung"]


def test_one_part_that_hangs_ends_the_pings_is_told_once_by_name_and_once_when_it_is_back() -> None:
    systemd, clock, told = Heard(), Clock(), list[tuple[str, str]]()
    camera = Part()
    watch = Watch(systemd, {"camera line": camera, "publisher": Part()}, clock)
    for alive in (True, False, False, True):
        camera.alive = alive
        clock.now_s += 10.0
        watch.look(lambda *event: told.append(event))
    assert systemd.lines == ["WATCHDOG=1", "STATUS=camera line hangs", "WATCHDOG=1", "STATUS=running"]
    assert [(kind, detail.partition(":")[0]) for kind, detail in told] == [("thread-hung", "camera line"), ("thread-back", "camera line")]


def test_work_that_lasts_too_long_is_a_hang_and_a_wait_never_is() -> None:
    clock = Clock()
    pulse = Pulse(60.0, clock)
    clock.now_s += 1e6
    assert not pulse.is_still
    pulse.beat()
    found = []
    for step_s in (60.0, 0.1):
        clock.now_s += step_s
        found.append(pulse.is_still)
    pulse.rest()
    assert [*found, pulse.is_still] == [False, True, False]


@pytest.fixture
def run() -> Iterator[Callable[[Callable[[], Frame | None], Clock], Feed]]:
    stop, feeds = threading.Event(), list[Feed]()

    def start(read: Callable[[], Frame | None], clock: Clock) -> Feed:
        feed = Feed(Source(read), FrameQueue(), stop, lambda _: None, backoff=Backoff(first_s=3600.0, longest_s=3600.0))
        feed._pulse = Pulse(60.0, clock)
        feed.start()
        feeds.append(feed)
        return feed

    yield start
    stop.set()
    for feed in feeds:
        assert feed.join(10.0)


def test_a_feed_that_hangs_in_its_camera_stops_the_pings(run: Any) -> None:
    systemd, clock, called, release = Heard(), Clock(), threading.Event(), threading.Event()

    def read() -> None:
        called.set()
        release.wait()

    feed = run(read, clock)
    watch = Watch(systemd, {"camera line": feed}, clock)
    assert called.wait(10.0)
    watch.look(lambda *_: None)
    assert systemd.lines == ["WATCHDOG=1"]
    clock.now_s += 61.0
    watch.look(lambda *_: None)
    assert systemd.lines == ["WATCHDOG=1", "STATUS=camera line hangs"]
    release.set()


def test_a_camera_that_is_merely_lost_does_not_stop_the_pings(run: Any) -> None:
    systemd, clock = Heard(), Clock()

    def read() -> None:
        raise CameraLost("no picture for 2.0 s")

    feed = run(read, clock)
    watch = Watch(systemd, {"camera line": feed}, clock)
    wait_until(lambda: feed.fault is not None and feed._pulse._beat_s is None)
    clock.now_s += 3000.0  # it waits within its pause between two attempts
    watch.look(lambda *_: None)
    assert systemd.lines == ["WATCHDOG=1"]


def test_a_feed_whose_thread_has_ended_against_its_will_is_not_alive(run: Any) -> None:
    def read() -> None:
        raise ZeroDivisionError

    feed = run(read, Clock())
    wait_until(lambda: not feed.alive)
    with pytest.raises(ZeroDivisionError):
        feed.raise_if_broken()


def test_a_retention_thread_that_hangs_in_a_dead_disk_stops_the_pings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    systemd, clock, called, release = Heard(), Clock(), threading.Event(), threading.Event()

    def free(path: Path) -> int:
        called.set()
        release.wait()
        return 0

    Log(tmp_path / "log.db", "s1").close()
    monkeypatch.setattr("inspector.edge.retention._free", free)
    retention = RetentionThread(tmp_path / "log.db", LogSection(min_free_bytes=0), lambda *_: None, 120.0)
    retention._pulse._clock = clock
    watch = Watch(systemd, {"retention": retention}, clock)
    retention.start()
    assert called.wait(10.0)
    watch.look(lambda *_: None)
    clock.now_s += 121.0
    watch.look(lambda *_: None)
    assert systemd.lines == ["WATCHDOG=1", "STATUS=retention hangs"]
    release.set()
    wait_until(lambda: retention.alive)
    watch.look(lambda *_: None)
    assert systemd.lines[2:] == ["WATCHDOG=1", "STATUS=running"]
    retention.stop()
    assert not retention.alive


def test_a_long_sweep_beats_before_each_of_its_steps(tmp_path: Path, make_inspection: MakeInspection) -> None:
    images = tmp_path / "images"
    images.mkdir()
    with Log(tmp_path / "log.db", "cell-3") as log:
        for number in range(9):
            (images / f"{number}.jpg").write_bytes(b"x")
            log.append(make_inspection(number, image_path=f"images/{number}.jpg"))
    beats: list[int] = []
    done = sweep(
        tmp_path / "log.db",
        LogSection(keep_days=1, keep_image_days=1),
        now() + timedelta(days=5),
        batch=3,
        beat=lambda: beats.append(len([*images.iterdir()])),
    )
    assert (done.images, done.verdicts) == (9, 9)
    assert set(beats) == set(range(10)), "a beat before each picture, so that a slow disk is not taken for a dead one"
    assert beats.count(0) >= 5, "and before each batch of verdicts"
