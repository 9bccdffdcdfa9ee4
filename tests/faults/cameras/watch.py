"""Watch: real feeds of real cameras into one real queue, a taker at its end, and notes of all that came out and was told."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from inspector.core.frame import Frame
from inspector.edge.camera import CameraFault, Feed, FrameQueue, open_camera
from inspector.settings import CameraSection
from tests.faults.cameras.paint import is_whole, read_instant_ms

_WAIT_S = 0.02


@dataclass(frozen=True, slots=True)
class Note:
    """A frame as the taker got it."""

    camera: str
    """Name of its camera."""
    at_s: float
    """When it was taken from the queue, monotonic."""
    fault: str | None
    """Its fault."""
    grabbed_s: float
    """When it was taken by the camera, as the frame says."""
    painted_s: float = 0.0
    """When it was painted, which is the truth; 0 for a fault."""
    is_whole: bool = True
    """False if rows are missing."""


class Watch:
    """Runs feeds for the sections; to be used as a context."""

    def __init__(self, sections: Mapping[str, CameraSection], uncompressed: str) -> None:
        """Open the cameras; the one called ``uncompressed`` must deliver every row."""
        self.notes: list[Note] = []
        self.told: list[tuple[float, CameraFault]] = []
        self.pause_s = 0.0
        """How long the taker dwells on each frame."""
        self._uncompressed, self._stop, self._queue = uncompressed, threading.Event(), FrameQueue()
        cameras = [open_camera(name, section, station="faults", base=Path()) for name, section in sections.items()]
        self.feeds = {camera.name: Feed(camera, self._queue, self._stop, self._on_fault) for camera in cameras}
        self._taker = threading.Thread(target=self._take, name="taker", daemon=True)

    def __enter__(self) -> Self:
        """Start all threads."""
        for feed in self.feeds.values():
            feed.start()
        self._taker.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop them."""
        self._stop.set()
        for feed in self.feeds.values():
            feed.join(15.0)
        self._queue.close()
        self._taker.join(5.0)

    def good_since(self, camera: str, since_s: float) -> Note | None:
        """Return the first good frame that was painted after an instant."""
        return next((note for note in self.notes if note.camera == camera and not note.fault and note.painted_s > since_s), None)

    def first_told(self, camera: str, since_s: float) -> tuple[float, str] | None:
        """Return when a fault of a camera was first told after an instant, by the feed or by a frame, and its reason."""
        lost = [(at_s, fault.reason) for at_s, fault in self.told if fault.camera == camera and fault.ended_at is None]
        frames = [(note.at_s, note.fault) for note in self.notes if note.camera == camera and note.fault]
        return min((one for one in lost + frames if one[0] >= since_s), default=None)

    def gap_p99_ms(self, camera: str, since_s: float, until_s: float) -> float | None:
        """Return the 99th percentile of the time between two frames of a camera, milliseconds; None without two."""
        taken = [note.at_s for note in self.notes if note.camera == camera and not note.fault and since_s <= note.at_s <= until_s]
        return float(np.percentile(np.diff(taken), 99)) * 1000.0 if len(taken) > 1 else None

    def _on_fault(self, fault: CameraFault) -> None:
        self.told.append((time.monotonic(), fault))

    def _take(self) -> None:
        while not self._queue.closed:
            for frame in self._queue.take(1, _WAIT_S):
                self.notes.append(self._noted(frame))
                time.sleep(self.pause_s)

    def _noted(self, frame: Frame) -> Note:
        at_s, grabbed_s = time.monotonic(), frame.grabbed_ns / 1e9
        if frame.fault is not None:
            return Note(frame.camera, at_s, frame.fault, grabbed_s)
        whole = frame.camera != self._uncompressed or is_whole(frame.image)
        return Note(frame.camera, at_s, None, grabbed_s, read_instant_ms(frame.image) / 1000.0, whole)
