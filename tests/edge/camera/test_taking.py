"""Taking pictures by hand."""

import time
from collections.abc import Sequence

import pytest

from inspector.core.frame import Frame
from inspector.edge.camera import Moment, Origin
from inspector.edge.camera.taking import Timing, taken
from inspector.errors import CameraError
from tests.station_kit import picture


class Fake:
    """A camera that gives what it is told, each frame grabbed when it is read or a second before."""

    def __init__(self, kinds: Sequence[str]) -> None:
        self.name, self.origin, self.every_frame_counts, self.dropped = "line", Origin("s1", "line"), True, 0
        self.finished, self.reads, self._kinds = False, 0, list(kinds)

    def read(self, timeout_s: float) -> Frame | None:
        self.reads += 1
        if not self._kinds:
            self.finished = True
            return None
        kind, moment = self._kinds.pop(0), Moment.now()
        if kind == "fault":
            return self.origin.fault(str(self.reads), "packets lost", moment)
        if kind == "old":
            moment = Moment(moment.captured_at, time.monotonic_ns() - 1_000_000_000)
        return None if kind == "none" else self.origin.frame(str(self.reads), picture(self.reads), moment, "fake")

    def close(self) -> None:
        pass


class Triggered(Fake):
    """A camera that gives a frame for each trigger."""

    triggered = 0

    def trigger(self) -> None:
        self.triggered += 1
        self._kinds.append("now")


def ids(camera: Fake, count: int, timing: Timing) -> list[str]:
    return [frame.frame_id for frame in taken(camera, count, timing, lambda _done, _left_s: None)]


def test_a_replay_gives_its_pictures_without_a_pause_and_ends_early_if_it_is_over() -> None:
    assert ids(Fake(["old"] * 2), 5, Timing(3600.0, 1.0, is_live=False)) == ["1", "2"]


def test_a_live_picture_is_one_that_was_taken_after_its_time_and_is_good() -> None:
    assert ids(Fake(["old", "none", "fault", "now", "old", "now"]), 2, Timing(0.0, 5.0, is_live=True)) == ["4", "6"]


def test_what_a_live_camera_gives_during_the_pause_gives_way() -> None:
    camera, said = Fake(["now"] * 100_000), list[tuple[int, float]]()
    first, second = taken(camera, 2, Timing(0.05, 5.0, is_live=True), lambda done, left_s: said.append((done, left_s)))
    assert second.grabbed_ns - first.grabbed_ns >= 50_000_000
    assert camera.reads > 2
    assert said[0][0] == 0
    assert 0.0 < said[0][1] <= 0.05
    assert said[-1] == (1, 0.0)


def test_a_camera_that_waits_for_triggers_is_triggered_for_each_picture() -> None:
    camera = Triggered(["none"])
    assert len(ids(camera, 3, Timing(0.0, 5.0, is_live=True))) == 3
    assert camera.triggered == 3


def test_a_camera_that_gives_nothing_good_is_told_with_its_fault() -> None:
    with pytest.raises(CameraError, match=r"cameras.line: no good picture within 0.05 s \(packets lost\)"):
        ids(Fake(["fault"] * 1_000_000), 1, Timing(0.0, 0.05, is_live=True))
