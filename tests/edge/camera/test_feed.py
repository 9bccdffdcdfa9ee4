"""Feeds: frames into the queue, faults told once, the end of a replay."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from inspector.core.frame import Frame
from inspector.edge.camera import Backoff, Camera, CameraFault, Feed, FrameQueue, Moment, Origin
from inspector.errors import CameraError, CameraLost
from tests.edge.camera.conftest import Opener, encoded, picture

QUICK = Backoff(0.001, 0.002)


class Scripted:
    """A camera that does what its script says: "frame", "none", "lost", "broken"; then it is finished."""

    def __init__(self, *script: str, every: bool = True) -> None:
        self.origin = Origin("station", "cam", every, 64)
        self.name, self.every_frame_counts = "cam", every
        self.finished, self.dropped, self.closed = False, 0, False
        self._script = list(script)

    def read(self, timeout_s: float) -> Frame | None:
        event = self._script.pop(0)
        self.finished = not self._script
        if event == "lost":
            raise CameraLost("cam: the stream ended; check its cable")
        if event == "broken":
            raise ZeroDivisionError
        if event == "none":
            return None
        return self.origin.frame(f"{len(self._script)}", np.zeros((2, 2, 3), np.uint8), Moment.now(), "script")

    def close(self) -> None:
        self.closed = True


def run(camera: Camera) -> tuple[FrameQueue, list[CameraFault], Feed]:
    """Run a feed to its end."""
    queue, told = FrameQueue(), list[CameraFault]()
    feed = Feed(camera, queue, threading.Event(), told.append, backoff=QUICK)
    feed.start()
    assert feed.join(10.0)
    return queue, told, feed


def test_a_replay_goes_into_the_queue_and_its_end_is_told(folder: Path, opened: Opener) -> None:
    queue, told, feed = run(opened(kind="folder", path=folder))
    assert [frame.frame_id for frame in queue.take(8, 0.0)] == ["part1.png", "part2.png", "part10.png"]
    assert feed.finished.is_set()
    assert told == []


def test_a_fault_is_told_once_when_it_begins_and_once_when_it_ends() -> None:
    _, told, feed = run(Scripted("frame", "lost", "lost", "lost", "frame", "lost", "none", "frame"))
    assert [fault.ended_at is None for fault in told] == [True, False, True, False]
    assert told[0].reason == "cam: the stream ended; check its cable"
    assert told[1].began_at == told[0].began_at
    assert feed.fault is None


def test_where_every_frame_counts_each_fault_puts_one_frame_with_its_reason() -> None:
    queue, _, _ = run(Scripted("frame", "lost", "lost", "frame", "lost", "frame"))
    frames = queue.take(20, 0.0)
    assert [frame.fault is not None for frame in frames] == [False, True, False, True, False]
    assert len({frame.frame_id for frame in frames if frame.fault}) == 2
    assert frames[1].fault == "cam: the stream ended; check its cable"


def test_where_the_newest_frame_wins_a_fault_puts_no_frame() -> None:
    queue, told, _ = run(Scripted("lost", "none", every=False))
    assert queue.take(20, 0.0) == []
    assert len(told) == 2


def test_the_camera_is_closed_when_the_feed_ends() -> None:
    camera = Scripted("frame")
    run(camera)
    assert camera.closed


def test_drops_within_the_camera_are_counted() -> None:
    camera = Scripted("frame", "frame", every=False)
    camera.dropped = 3
    queue, _, _ = run(camera)
    assert queue.dropped["cam"] == 3 + 1


def test_a_mistake_in_the_program_is_raised_in_the_main_thread() -> None:
    _, _, feed = run(Scripted("frame", "broken", "frame"))
    assert not feed.finished.is_set()
    with pytest.raises(ZeroDivisionError):
        feed.raise_if_broken()


def test_a_feed_stops_while_the_queue_is_full(folder: Path, opened: Opener) -> None:
    queue, stop = FrameQueue(), threading.Event()
    feed = Feed(opened(kind="folder", path=folder, loop=True, queue_frames=2), queue, stop, lambda fault: None)
    feed.start()
    queue.take(1, 10.0)
    stop.set()
    assert feed.join(10.0)
    assert not feed.finished.is_set()


def test_a_feed_stops_during_its_pause_and_after_the_queue_was_closed(folder: Path, opened: Opener) -> None:
    queue, stop, began = FrameQueue(), threading.Event(), threading.Event()
    feed = Feed(Scripted(*["lost"] * 9), queue, stop, lambda fault: began.set(), backoff=Backoff(3600.0, 3600.0))
    feed.start()
    assert began.wait(10.0)
    stop.set()
    assert feed.join(10.0)
    closed = FrameQueue()
    other = Feed(opened(kind="folder", path=folder, loop=True), closed, threading.Event(), lambda fault: None)
    other.start()
    closed.close()
    assert other.join(10.0)


def test_pauses_double_up_to_the_longest() -> None:
    pauses: Iterator[float] = Backoff(0.5, 30.0).pauses()
    assert list(itertools.islice(pauses, 9)) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_folder_that_vanishes_and_returns_is_one_fault(folder: Path, opened: Opener) -> None:
    queue, stop, told = FrameQueue(), threading.Event(), list[CameraFault]()
    changed = threading.Condition()

    def on_fault(fault: CameraFault) -> None:
        with changed:
            told.append(fault)
            changed.notify_all()

    feed = Feed(opened(kind="folder", path=folder, watch=True), queue, stop, on_fault, backoff=QUICK)
    feed.start()
    taken: list[Frame] = []
    while len(taken) < 3:
        taken += queue.take(3, 10.0)
    away = folder.with_name("away")
    folder.rename(away)
    with changed:
        assert changed.wait_for(lambda: len(told) == 1, 10.0)
    (away / "new.png").write_bytes(encoded(picture(), ".png"))
    away.rename(folder)
    with changed:
        assert changed.wait_for(lambda: len(told) == 2, 10.0)
    after = [*queue.take(1, 10.0), *queue.take(1, 10.0)]
    stop.set()
    assert feed.join(10.0)
    assert "no such folder" in (after[0].fault or "")
    assert after[1].frame_id == "new.png"


def test_an_error_that_is_no_loss_is_a_fault_too() -> None:
    class Odd(Scripted):
        def read(self, timeout_s: float) -> Frame | None:
            if len(self._script) == 2:
                self._script.pop()
                raise CameraError("cam: gives 10 x 10 pixels")
            return super().read(timeout_s)

    _, told, _ = run(Odd("frame", "frame"))
    assert [fault.reason for fault in told] == ["cam: gives 10 x 10 pixels"] * 2


def test_pauses_vary_by_their_jitter_and_no_more() -> None:
    shortest, longest = ([next(Backoff(4.0, 30.0, jitter=0.25).pauses(chance)) for _ in range(2)] for chance in (lambda: 0.0, lambda: 1.0))
    assert (shortest, longest) == ([3.0, 3.0], [5.0, 5.0])


def test_the_counters_tell_how_a_camera_has_fared() -> None:
    queue, _, feed = run(Scripted("frame", "lost", "lost", "frame", "lost", "frame", "frame"))
    counters = feed.counters
    assert (counters.frames, counters.faulty_frames, counters.faults, counters.reconnects, counters.is_lost) == (6, 2, 2, 2, False)
    assert counters.dropped == counters.lost_packets == 0
    assert counters.last_frame_age_ms is not None
    assert counters.last_frame_age_ms >= 0.0
    assert len(queue.take(64, 0.0)) == counters.frames
    assert counters.to_dict()["camera"] == "cam"


def test_before_its_first_frame_a_camera_has_no_last_one() -> None:
    _, _, feed = run(Scripted("lost", every=False))
    assert feed.counters.last_frame_age_ms is None
    assert feed.counters.is_lost
