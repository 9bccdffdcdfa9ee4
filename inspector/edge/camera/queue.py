"""FrameQueue: where the frames of all cameras wait for the pipeline. Bounded for each camera, so that none stalls another.

Two policies. Where every frame counts, ``put`` waits for room. Otherwise the newest frame wins: one waits, an older one gives way to it
and is counted. For each camera frames are taken in the order in which they were put, and put = taken + dropped + waiting.
"""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from inspector.core.frame import Frame
from inspector.errors import CameraError


@dataclass(slots=True)
class _Lane:
    """The frames of one camera, each with its turn."""

    every: bool
    room: int
    frames: deque[tuple[int, Frame]] = field(default_factory=deque)
    dropped: int = 0


class FrameQueue:
    """Joins camera threads, which put, and one thread that takes."""

    def __init__(self) -> None:
        """Begin empty and open."""
        self._lanes: dict[str, _Lane] = {}
        self._turn = 0
        self._closed = False
        self._nudged = False
        self._changed = threading.Condition()

    def add(self, camera: str, *, every: bool, capacity: int = 4) -> None:
        """Let a camera in, before its first frame; ``capacity`` frames may wait if every one counts, else one. Twice is a mistake."""
        with self._changed:
            if camera in self._lanes:
                raise CameraError(f"camera {camera} feeds this queue already; give each camera its own name")
            self._lanes[camera] = _Lane(every, capacity if every else 1)

    def put(self, frame: Frame, stop: threading.Event) -> bool:
        """Add a frame of a camera that was let in; return False if the queue is closed.

        Where every frame counts it waits for room. Once ``stop`` is set it waits no more: the frame in hand is taken in beyond the bound,
        because it will not come again. Whoever sets ``stop`` calls ``wake`` to spare a tenth of a second.
        """
        with self._changed:
            lane = self._lanes[frame.camera]
            while lane.every and len(lane.frames) >= lane.room and not self._closed and not stop.is_set():
                self._changed.wait(0.1)
            if self._closed:
                return False
            self._turn += 1
            turn = self._turn
            if not lane.every and lane.frames:
                turn, _ = lane.frames.popleft()  # the newcomer inherits the turn: a fast camera must not lose its place for ever
                lane.dropped += 1
            lane.frames.append((turn, frame))
            self._changed.notify_all()
            return True

    def take(self, max_batch: int, timeout_s: float) -> list[Frame]:
        """Return up to ``max_batch`` frames of all cameras, those first whose turn it is; empty if none came within the time."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._depth() or self._nudged, timeout_s)
            self._nudged = False
            taken: list[Frame] = []
            while len(taken) < max_batch and (lanes := [lane for lane in self._lanes.values() if lane.frames]):
                lane = min(lanes, key=lambda lane: lane.frames[0][0])
                taken.append(lane.frames.popleft()[1])
            self._changed.notify_all()
            return taken

    def count_dropped(self, camera: str, count: int) -> None:
        """Add frames that gave way before they came here."""
        with self._changed:
            self._lanes[camera].dropped += count

    def wake(self) -> None:
        """Let every put that waits look at its stop event."""
        with self._changed:
            self._changed.notify_all()

    def nudge(self) -> None:
        """Let a take that waits return at once: its thread has something else to do."""
        with self._changed:
            self._nudged = True
            self._changed.notify_all()

    def close(self) -> None:
        """Take no more frames; those that wait can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """True once no more frames are taken in."""
        return self._closed

    @property
    def dropped(self) -> Mapping[str, int]:
        """Frames that gave way, by camera."""
        with self._changed:
            return MappingProxyType({camera: lane.dropped for camera, lane in self._lanes.items()})

    @property
    def depth(self) -> int:
        """Frames that wait."""
        with self._changed:
            return self._depth()

    def _depth(self) -> int:
        return sum(len(lane.frames) for lane in self._lanes.values())
