"""Line: the station's cameras, one feed each, and the queue that they fill."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from inspector.edge.camera.feed import CameraFault, Feed
from inspector.edge.camera.opening import open_camera
from inspector.edge.camera.queue import FrameQueue
from inspector.settings import CameraSection, StationSettings

_JOIN_S = 2.0
"""How long the cameras may take to let go at the end."""
_PATIENCE_S = 60.0
"""How long one read may take beyond the waits that the settings allow, before its thread counts as hung."""


@dataclass(frozen=True, slots=True)
class Line:
    """The station's cameras and the queue that they feed."""

    queue: FrameQueue
    """Where frames wait."""
    feeds: Sequence[Feed]
    """One thread a camera."""
    stopping: threading.Event
    """Set to stop all feeds."""

    @property
    def is_over(self) -> bool:
        """True when every replay is over. Raises what ended a feed against its will."""
        for feed in self.feeds:
            feed.raise_if_broken()
        return all(feed.finished.is_set() for feed in self.feeds)

    def trigger(self, camera: str) -> bool:
        """Ask a camera for one frame; return False if it delivers by itself. Never waits."""
        return any(feed.trigger() for feed in self.feeds if feed.name == camera)

    def leave_out(self, camera: str) -> None:
        """Count a frame that is not judged."""
        self.queue.count_dropped(camera, 1)

    def stop(self) -> None:
        """Stop all feeds at once and wait for them, together not longer than for one; the frames in their hands come into the queue."""
        self.stopping.set()
        until_s = time.monotonic() + _JOIN_S
        for feed in self.feeds:
            feed.join(max(until_s - time.monotonic(), 0.0))


@contextmanager
def open_line(settings: StationSettings, tell: Callable[[str, str], None]) -> Iterator[Line]:
    """Run one feed a camera; ``tell`` takes kind and detail of an event and must not wait. Raises ``CameraError``, see ``open_camera``."""

    def on_fault(fault: CameraFault) -> None:
        is_back = fault.ended_at is not None
        tell(*(("camera-back", f"{fault.camera}: delivers again") if is_back else ("camera-lost", f"{fault.camera}: {fault.reason}")))

    queue, stopping = FrameQueue(), threading.Event()
    cameras = {
        open_camera(name, section, station=settings.name, base=settings.folder, max_pixels=settings.quality.max_pixels): section
        for name, section in settings.cameras.items()
    }
    feeds = [Feed(camera, queue, stopping, on_fault, patience_s=_patience_s(section)) for camera, section in cameras.items()]
    line = Line(queue, feeds, stopping)
    for feed in line.feeds:
        feed.start()
    try:
        yield line
    finally:
        line.stop()
        queue.close()


def _patience_s(section: CameraSection) -> float:
    """Return how long one read may take: a live camera that fails is let go, opened anew and waited for within one."""
    return _PATIENCE_S + section.open_timeout_s + 2.0 * section.read_timeout_s
