"""Feed: the thread that carries one camera's frames into the queue, and tells when a fault begins and when it ends.

A camera that fails is read again after a pause that doubles from 0.5 to 30 s. Where every frame counts, a fault also puts one frame with
its reason into the queue, so that it is logged as ``review`` and nothing passes in silence.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from inspector.edge.camera.camera import Camera, Moment
from inspector.edge.camera.queue import FrameQueue
from inspector.errors import CameraError

_READ_S = 0.25
"""How long one read waits: a stop is noticed within this."""


@dataclass(frozen=True, slots=True)
class CameraFault:
    """A fault of a camera, told once when it begins and once when it ends."""

    camera: str
    """Name of the camera."""
    reason: str
    """What is wrong and what to do."""
    began_at: datetime
    """UTC."""
    ended_at: datetime | None = None
    """UTC; None while the fault lasts."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses between attempts: each twice the one before."""

    first_s: float = 0.5
    """First pause, seconds."""
    longest_s: float = 30.0
    """Longest pause, seconds."""

    def pauses(self) -> Iterator[float]:
        """Yield the pauses, without end."""
        pause_s = self.first_s
        while True:
            yield pause_s
            pause_s = min(2.0 * pause_s, self.longest_s)


class Feed:
    """Reads a camera until it is stopped or its replay is over."""

    def __init__(
        self,
        camera: Camera,
        queue: FrameQueue,
        stop: threading.Event,
        on_fault: Callable[[CameraFault], None],
        *,
        backoff: Backoff | None = None,
    ) -> None:
        """Let the camera into the queue. ``on_fault`` is called in the feed's thread; the feed closes the camera when it ends."""
        self.name = camera.name
        self.finished = threading.Event()
        self._camera, self._queue, self._stop, self._on_fault = camera, queue, stop, on_fault
        self._backoff = backoff or Backoff()
        self._pauses = self._backoff.pauses()
        self._fault: CameraFault | None = None
        self._faults, self._dropped = 0, 0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"feed {camera.name}", daemon=True)
        queue.add(camera.name, every=camera.every_frame_counts, capacity=camera.origin.queue_frames)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread to end, once ``stop`` is set; return whether it did."""
        self._queue.wake()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def fault(self) -> CameraFault | None:
        """The fault that lasts, if there is one."""
        return self._fault

    def raise_if_broken(self) -> None:
        """Raise whatever ended the thread against its will: a camera must not fall silent because of a mistake in the program."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while not (self._stop.is_set() or self.finished.is_set() or self._queue.closed):
                self._step()
        except BaseException as error:  # noqa: BLE001 - handed to the main thread by raise_if_broken
            self._error = error
        finally:
            self._camera.close()

    def _step(self) -> None:
        """Read once and put what came into the queue."""
        try:
            frame = self._camera.read(_READ_S)
        except CameraError as error:
            self._failed(str(error))
            self._stop.wait(next(self._pauses))
            return
        self._recovered()
        missed = self._camera.dropped - self._dropped
        if missed:
            self._dropped += missed
            self._queue.count_dropped(self.name, missed)
        if frame is not None:
            self._queue.put(frame, self._stop)
        if self._camera.finished:
            self.finished.set()

    def _failed(self, reason: str) -> None:
        """Tell of a fault once, and let a frame stand for what is not seen meanwhile."""
        if self._fault is not None:
            return
        self._faults += 1
        moment = Moment.now()
        self._fault = CameraFault(self.name, reason, moment.captured_at)
        self._on_fault(self._fault)
        if self._camera.every_frame_counts:
            self._queue.put(self._camera.origin.fault(f"fault-{self._faults:04d}", reason, moment), self._stop)

    def _recovered(self) -> None:
        if self._fault is not None:
            ended, self._fault = replace(self._fault, ended_at=datetime.now(UTC)), None
            self._pauses = self._backoff.pauses()
            self._on_fault(ended)
