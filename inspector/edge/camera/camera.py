"""What every camera offers, and the values that they share: Camera, Origin, Moment, Pace. The rest of the house sees only these."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

import numpy as np

from inspector.core.frame import Frame, Image


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant on both clocks: the one on the wall and the one that never jumps."""

    captured_at: datetime
    """UTC."""
    grabbed_ns: int
    """The same instant in ``time.monotonic_ns()``."""

    @classmethod
    def now(cls) -> "Moment":
        """Return this instant."""
        return cls(datetime.now(UTC), time.monotonic_ns())

    @classmethod
    def of_file(cls, mtime_ns: int) -> "Moment":
        """Return the instant a file was last written; the age counts from there, and from now if the file is dated in the future."""
        age_ns = max(time.time_ns() - mtime_ns, 0)
        instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=mtime_ns // 1000)
        return cls(instant, time.monotonic_ns() - age_ns)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a camera's frames come from and how they are to be queued."""

    station: str
    """Name of the station."""
    camera: str
    """Name of the camera."""
    every_frame_counts: bool = True
    """True if no frame may be dropped; False if an old frame gives way to a new one."""
    queue_frames: int = 4
    """Frames that may wait when every one counts, 1 or more."""

    def frame(self, frame_id: str, image: Image, moment: Moment, source: str) -> Frame:
        """Return a frame of this camera; ``image`` is (H, W, 3) uint8 RGB, read-only."""
        return Frame(self.station, self.camera, frame_id, moment.captured_at, moment.grabbed_ns, image, source=source)

    def fault(self, frame_id: str, reason: str, moment: Moment, source: str | None = None) -> Frame:
        """Return a frame that holds a fault instead of a picture."""
        nothing = np.zeros((0, 0, 3), np.uint8)
        nothing.setflags(write=False)
        return Frame(self.station, self.camera, frame_id, moment.captured_at, moment.grabbed_ns, nothing, source=source, fault=reason)


class Camera(Protocol):
    """A source of frames. One thread reads it; ``close`` may be called from any, once or more."""

    name: str
    """Name of the camera in the station's settings."""
    origin: Origin
    """Where its frames come from."""
    every_frame_counts: bool
    """True if no frame may be dropped."""
    finished: bool
    """True once a replay is over: ``read`` will return None for ever."""
    dropped: int
    """Frames that gave way inside the camera before anybody read them."""

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame; None if there is nothing new within the time and the camera is well.

        Raises ``CameraLost`` if the camera stopped delivering or cannot be reached, ``CameraError`` if it cannot work as it is set. After
        either it may be read again: it then opens its source anew (which may take ``open_timeout_s`` longer) and goes on where it was.
        """
        ...

    def close(self) -> None:
        """Let the source go. A read that waits ends soon after."""
        ...


@runtime_checkable
class SoftwareTriggered(Protocol):
    """A camera that takes a frame when it is asked to; ``read`` then delivers it. Those that deliver by themselves do not have this."""

    def trigger(self) -> None:
        """Ask for one frame now. May be called from any thread, may take as long as the camera's answer. Raises ``CameraError``."""
        ...


class Pace:
    """Keeps a replay at its rate. A replay that fell behind goes on from now instead of catching up in a burst."""

    def __init__(self, rate_hz: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Take frames a second; 0 means without a pause."""
        self._period_s = 1.0 / rate_hz if rate_hz else 0.0
        self._clock = clock
        self._due_s: float | None = None

    def due_in_s(self) -> float:
        """Return how long the next frame must wait, seconds; 0 or less means not at all."""
        return 0.0 if self._due_s is None else self._due_s - self._clock()

    def passed(self) -> None:
        """Note that a frame was let through."""
        now = self._clock()
        due = now if self._due_s is None or now - self._due_s > self._period_s else self._due_s
        self._due_s = due + self._period_s
