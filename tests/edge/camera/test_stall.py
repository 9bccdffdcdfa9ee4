"""Live cameras that hang, freeze, or lose frames, and what their neighbours and a stop notice of it: nothing."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from inspector.core.frame import Frame
from inspector.edge.camera import Backoff, CameraFault, CountsPackets, Feed, FrameQueue, Line, Moment, Origin
from inspector.edge.camera.shot import Shot
from inspector.edge.camera.stream import Patience, StreamCamera
from inspector.errors import CameraLost

QUICK = Backoff(0.001, 0.002)
IMPATIENT = Patience(read_timeout_s=0.1, open_timeout_s=0.1)


class Sensor:
    """A source that gives the shots of its script, None for a wait without a picture; then it waits, or, with a gate, hangs."""

    def __init__(self, *script: Shot | None, gate: threading.Event | None = None) -> None:
        self._script, self._gate = list(script), gate
        self.released = threading.Event()

    def shoot(self) -> Shot | None:
        if self._script:
            return self._script.pop(0)
        if self._gate is None:
            self.released.wait(0.005)
            return None
        self._gate.wait(60.0)
        raise CameraLost("sensor: it hung")

    def release(self) -> None:
        self.released.set()


class Stepwise(Sensor):
    """A sensor that gives its first shot at once and each further one when it is told to."""

    def __init__(self, *script: Shot | None) -> None:
        super().__init__(*script)
        self._steps = threading.Semaphore(1)

    def step(self) -> None:
        self._steps.release()

    def shoot(self) -> Shot | None:
        return super().shoot() if self._steps.acquire(timeout=0.005) else None


def shot(level: int, **changes: Any) -> Shot:
    image = np.full((4, 6, 3), level, np.uint8)
    return Shot(lambda: image, Moment.now(), **changes)


def camera(
    connect: Callable[[], Any], *, name: str = "cam", every: bool = True, patience: Patience = IMPATIENT, frozen: int = 0
) -> StreamCamera:
    return StreamCamera(Origin("station", name, every, 64), f"sensor {name}", connect, patience, frozen_limit=frozen)


def endless() -> Iterator[Shot]:
    level = 0
    while True:
        level = (level + 1) % 256
        yield shot(level)


class Busy:
    """A source that never ends."""

    def __init__(self) -> None:
        self._shots, self._pause = endless(), threading.Event()

    def shoot(self) -> Shot:
        self._pause.wait(0.001)
        return next(self._shots)

    def release(self) -> None:
        self._pause.set()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Yield an event that lets what hangs go on at the end of the test."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("where", ["open", "read"])
def test_a_camera_that_hangs_for_ever_stalls_neither_its_neighbour_nor_a_stop(where: str, gate: threading.Event) -> None:
    def hangs() -> Sensor:
        if where == "open":
            gate.wait(60.0)
        return Sensor(gate=gate)

    queue, stopping, told = FrameQueue(), threading.Event(), list[CameraFault]()
    first_told = threading.Event()

    def on_fault(fault: CameraFault) -> None:
        told.append(fault)
        first_told.set()

    patience = Patience(read_timeout_s=0.05, open_timeout_s=0.05)
    feeds = [
        Feed(camera(hangs, name="hung", patience=patience), queue, stopping, on_fault, backoff=QUICK),
        Feed(camera(Busy, name="busy", patience=Patience(10.0)), queue, stopping, on_fault, backoff=QUICK),
    ]
    line = Line(queue, feeds, stopping)
    for feed in feeds:
        feed.start()
    before = 0
    while not first_told.is_set():
        frames = queue.take(1, 10.0)
        assert frames
        before += frames[0].camera == "busy"
    assert before > 5
    after = [frame.camera for _ in range(20) for frame in queue.take(1, 10.0)]
    assert after.count("busy") > 5
    line.stop()
    assert feeds[1].join(0.0)
    assert {fault.camera for fault in told} == {"hung"}
    assert {"open": "does not open", "read": "no picture for"}[where] in told[0].reason


def test_a_driver_that_hangs_is_called_once_and_not_again_until_it_returns(gate: threading.Event) -> None:
    opened = list[Sensor]()

    def connect() -> Sensor:
        opened.append(Sensor(gate=gate) if not opened else Sensor(shot(5)))
        return opened[-1]

    cam = camera(connect)
    with pytest.raises(CameraLost, match="no picture for"):
        cam.read(0.1)
    for _ in range(3):
        with pytest.raises(CameraLost, match="its driver hangs in a call"):
            cam.read(0.1)
    assert len(opened) == 1
    gate.set()
    assert opened[0].released.wait(10.0)
    frame = cam.read(0.1)
    assert frame is not None
    assert int(frame.image[0, 0, 0]) == 5


def test_a_driver_that_crashes_costs_its_camera_and_says_so() -> None:
    def connect() -> Sensor:
        raise ZeroDivisionError("in the driver")

    with pytest.raises(CameraLost, match="sensor cam: its driver failed: ZeroDivisionError: in the driver"):
        camera(connect).read(0.1)


def test_a_camera_that_waits_for_triggers_is_well_as_long_as_its_driver_answers(gate: threading.Event) -> None:
    patience = Patience(read_timeout_s=0.1, open_timeout_s=1.0, awaits_trigger=True)
    cam = camera(lambda: Sensor(*[None] * 9, gate=gate), patience=patience)
    assert cam.read(0.01) is None
    with pytest.raises(CameraLost, match="its driver has not answered"):
        read_for_ever(cam)


def read_for_ever(cam: StreamCamera) -> None:
    """Read until something is raised, 20 s at most."""
    for _ in range(200):
        cam.read(0.1)


def read_all(cam: StreamCamera, count: int) -> list[Frame | str]:
    """Read so many times; return frames, and what was raised."""
    found: list[Frame | str] = []
    for _ in range(count):
        try:
            frame = cam.read(1.0)
        except CameraLost as error:
            found.append(str(error))
        else:
            assert frame is not None
            found.append(frame)
    return found


@pytest.mark.parametrize("every", [True, False])
def test_a_frozen_picture_is_a_fault_until_it_moves_and_the_camera_is_opened_anew_once(every: bool, gate: threading.Event) -> None:
    scripts = iter([[shot(1), shot(2), shot(2), shot(2)], [shot(2), shot(2), shot(3)]])
    sensors = list[Stepwise]()

    def connect() -> Stepwise:
        sensors.append(Stepwise(*next(scripts)))
        return sensors[-1]

    cam = camera(connect, every=every, frozen=3, patience=Patience(10.0))
    found: list[Frame | str] = []
    for _ in range(8):
        for sensor in sensors[-1:]:
            sensor.step()
        found += read_all(cam, 1)
    assert [isinstance(one, str) or one.fault is not None for one in found] == [False, False, False, True, True, True, True, False]
    assert isinstance(found[4], str)
    assert "sensor cam: the picture is frozen: 3 in a row" in found[4]
    assert len(sensors) == 2


def test_a_frozen_camera_is_told_of_once_and_every_frame_of_it_goes_to_review() -> None:
    queue, stop, told = FrameQueue(), threading.Event(), list[CameraFault]()
    changed = threading.Event()

    def on_fault(fault: CameraFault) -> None:
        told.append(fault)
        if fault.ended_at is not None:
            changed.set()

    scripts = iter([[shot(1)] * 4, [*[shot(1)] * 4, shot(2)]])
    feed = Feed(camera(lambda: Sensor(*next(scripts)), frozen=3, patience=Patience(10.0)), queue, stop, on_fault, backoff=QUICK)
    feed.start()
    assert changed.wait(10.0)
    assert [fault.ended_at is None for fault in told] == [True, False]
    frames = queue.take(64, 1.0)
    levels = [None if frame.fault else int(frame.image[0, 0, 0]) for frame in frames]
    assert levels[:2] == [1, 1]
    assert levels[-1] == 2
    assert set(levels[2:-1]) == {None}
    assert len(levels) >= 8
    counters = feed.counters
    assert (counters.faults, counters.reconnects, counters.is_lost) == (1, 1, False)
    assert counters.frames == counters.faulty_frames + 3
    stop.set()


def test_a_frame_with_a_fault_is_never_looked_at_and_its_packets_are_counted(gate: threading.Event) -> None:
    cam = camera(lambda: Sensor(shot(1), shot(2, fault="3 packets lost", lost_packets=3), shot(3), gate=gate), patience=Patience(10.0))
    frames = read_all(cam, 3)
    faults = [one.fault for one in frames if isinstance(one, Frame)]
    assert faults == [None, "sensor cam: 3 packets lost", None]
    assert isinstance(cam, CountsPackets)
    assert cam.lost_packets == 3


@pytest.mark.parametrize("every", [True, False])
def test_frames_that_the_network_swallowed_are_counted_or_leave_a_fault(every: bool, gate: threading.Event) -> None:
    sensor = Stepwise(shot(1), shot(2, skipped=4))
    cam = camera(lambda: sensor, every=every, patience=Patience(10.0))
    [first] = read_all(cam, 1)
    sensor.step()
    then = read_all(cam, 1 + every)
    assert isinstance(first, Frame)
    assert [isinstance(one, Frame) and one.fault is not None for one in then] == ([True, False] if every else [False])
    assert cam.dropped == (0 if every else 4)


def test_a_frame_carries_the_cameras_own_number_and_exposure(gate: threading.Event) -> None:
    frame = camera(lambda: Sensor(shot(1, number=65_450, exposure_us=1200.0), gate=gate), patience=Patience(10.0)).read(1.0)
    assert frame is not None
    assert (frame.number, frame.exposure_us) == (65_450, 1200.0)
