"""Taking a few pictures with a camera by hand, for a calibration: each one as it comes, not what has waited in a buffer."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from inspector.core.frame import Frame
from inspector.edge.camera.camera import Camera, SoftwareTriggered
from inspector.errors import CameraError

_READ_S = 0.25


@dataclass(frozen=True, slots=True)
class Timing:
    """How pictures are taken."""

    every_s: float
    """Least time between two pictures of a live camera, and before the first, seconds."""
    patience_s: float
    """How long a good picture may take once it is due, seconds."""
    is_live: bool
    """False for a replay of files: its pictures are taken one after the other, without a pause."""


def taken(camera: Camera, count: int, timing: Timing, wait: Callable[[int, float], None]) -> Iterator[Frame]:
    """Yield ``count`` good frames, fewer if a replay is over. The caller closes the camera.

    ``wait`` hears, some times a second, how many pictures are taken and how long it is to the next one, seconds. Raises ``CameraError``.
    """
    due_ns = time.monotonic_ns()
    for number in range(count):
        if timing.is_live:
            due_ns = max(due_ns, time.monotonic_ns()) + round(1e9 * timing.every_s)
            while (left_s := (due_ns - time.monotonic_ns()) / 1e9) > 0.0:
                wait(number, left_s)
                camera.read(min(left_s, _READ_S))  # opens it; what comes before its time gives way
        wait(number, 0.0)
        frame = _next(camera, due_ns if timing.is_live else 0, timing.patience_s)
        if frame is None:
            return
        yield frame


def _next(camera: Camera, due_ns: int, patience_s: float) -> Frame | None:
    """Return the first good frame that was grabbed at ``due_ns`` or later, None if a replay is over."""
    if isinstance(camera, SoftwareTriggered):
        camera.read(0.0)  # opens it
        camera.trigger()
    until_s, fault = time.monotonic() + patience_s, ""
    while time.monotonic() < until_s:
        frame = camera.read(_READ_S)
        if frame is None and camera.finished:
            return None
        if frame is not None and frame.fault is not None:
            fault = f" ({frame.fault})"
        elif frame is not None and frame.grabbed_ns >= due_ns:
            return frame
    raise CameraError(f"cameras.{camera.name}: no good picture within {patience_s:g} s{fault}; is it triggered, is anything in its way?")
