"""Feed: the thread that carries one camera's frames into the queue, and tells when a fault begins and when it ends.

A camera that fails is read again after a pause that doubles from 0.5 to 30 s, give or take a quarter, so that cameras that failed together
do not all come back at the same instant. A fault ends with the first good frame, or with a camera that is well and silent. Where every
frame counts, a fault also puts one frame with its reason into the queue, so that it is logged as ``review`` and nothing passes in silence.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from inspector.core.frame import Frame
from inspector.edge.camera.camera import Camera, Moment, SoftwareTriggered
from inspector.edge.camera.counters import CameraCounters, CountsPackets
from inspector.edge.camera.queue import FrameQueue
from inspector.edge.health.pulse import Pulse
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
    jitter: float = 0.0
    """Share by which a pause may be longer or shorter, by chance."""

    def pauses(self, chance: Callable[[], float] = random.random) -> Iterator[float]:
        """Yield the pauses, without end; ``chance`` gives numbers from 0 to 1."""
        pause_s = self.first_s
        while True:
            yield pause_s * (1.0 + self.jitter * (2.0 * chance() - 1.0))
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
        patience_s: float = 60.0,
    ) -> None:
        """Let the camera into the queue. ``on_fault`` is called in the feed's thread; the feed closes the camera when it ends.

        A read that lasts longer than ``patience_s`` hangs: it neither delivers nor tells that the camera is lost.
        """
        self.name = camera.name
        self.finished = threading.Event()
        self._camera, self._queue, self._stop, self._on_fault = camera, queue, stop, on_fault
        self._backoff = backoff or Backoff(jitter=0.25)
        self._pauses = self._backoff.pauses()
        self._pulse = Pulse(patience_s)
        self._fault: CameraFault | None = None
        self._faults, self._reconnects, self._dropped = 0, 0, 0
        self._frames, self._faulty, self._seen_ns = 0, 0, 0
        self._is_faulty = False
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
    def alive(self) -> bool:
        """True while the thread works, or its replay is over; False if it has ended against its will or hangs in the camera."""
        return self.finished.is_set() or (self._thread.is_alive() and not self._pulse.is_still)

    @property
    def fault(self) -> CameraFault | None:
        """The fault that lasts, if there is one."""
        return self._fault

    @property
    def counters(self) -> CameraCounters:
        """How the camera has fared so far. May be asked for from any thread."""
        seen_ns = self._seen_ns
        return CameraCounters(
            camera=self.name,
            frames=self._frames,
            faulty_frames=self._faulty,
            dropped=self._queue.dropped[self.name],
            faults=self._faults,
            reconnects=self._reconnects,
            lost_packets=self._camera.lost_packets if isinstance(self._camera, CountsPackets) else 0,
            is_lost=self._fault is not None,
            last_frame_age_ms=(time.monotonic_ns() - seen_ns) / 1e6 if seen_ns else None,
        )

    def trigger(self) -> bool:
        """Ask the camera for one frame, if it takes software triggers; return whether it does. Never waits for the camera."""
        if not isinstance(self._camera, SoftwareTriggered):
            return False
        threading.Thread(target=self._trigger, args=(self._camera,), name=f"trigger {self.name}", daemon=True).start()
        return True

    def _trigger(self, camera: SoftwareTriggered) -> None:
        with suppress(CameraError):  # a camera that cannot be triggered cannot be read either: reading tells of the fault
            camera.trigger()

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
        self._pulse.beat()  # the read alone can hang: pauses and a full queue are waits of our own
        try:
            frame = self._camera.read(_READ_S)
        except CameraError as error:
            self._pulse.rest()
            self._failed(str(error))
            self._stop.wait(next(self._pauses))
            return
        self._pulse.rest()
        missed = self._camera.dropped - self._dropped
        if missed:
            self._dropped += missed
            self._queue.count_dropped(self.name, missed)
        if frame is not None:
            self._is_faulty = frame.fault is not None
            self._put(frame)
        if not self._is_faulty:
            self._recovered()
        if self._camera.finished:
            self.finished.set()

    def _put(self, frame: Frame) -> None:
        """Count a frame and put it into the queue."""
        self._frames += 1
        if frame.fault is None:
            self._seen_ns = frame.grabbed_ns
        else:
            self._faulty += 1
        self._queue.put(frame, self._stop)

    def _failed(self, reason: str) -> None:
        """Tell of a fault once, and let a frame stand for what is not seen meanwhile."""
        if self._fault is not None:
            return
        self._faults += 1
        moment = Moment.now()
        self._fault = CameraFault(self.name, reason, moment.captured_at)
        self._on_fault(self._fault)
        if self._camera.every_frame_counts:
            self._put(self._camera.origin.fault(f"fault-{self._faults:04d}", reason, moment))

    def _recovered(self) -> None:
        if self._fault is not None:
            ended, self._fault = replace(self._fault, ended_at=datetime.now(UTC)), None
            self._pauses = self._backoff.pauses()
            self._reconnects += 1
            self._on_fault(ended)
