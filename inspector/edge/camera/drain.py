"""Drain: the thread that opens a live camera and keeps it empty, because a reader slower than the camera falls behind without limit.

It keeps the newest frames and passes over those that lay in a buffer. It alone touches the source, so that nobody releases it while it is
being read, and a driver that hangs in a call holds up nobody else. When the stream ends, it ends: a new one is started for the stream
opened anew.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from inspector.edge.camera.shot import Shot, Source
from inspector.errors import CameraError, CameraLost


@dataclass(frozen=True, slots=True)
class Grab:
    """A frame as the camera gave it."""

    shot: Shot
    """The frame."""
    missed: int
    """Frames since the grab before that gave way to others, never came, or were too old to be judged."""
    lost_packets: int
    """Network packets that were missing since the grab before."""


class Drain:
    """Opens one source and reads it until it ends or is stopped."""

    def __init__(self, connect: Callable[[], Source], *, capacity: int, name: str, awaits_trigger: bool = False) -> None:
        """Start opening and reading; at most ``capacity`` frames wait, older ones give way.

        ``awaits_trigger``: silence is no fault as long as the driver answers.
        """
        self._connect, self._capacity, self._name, self._awaits_trigger = connect, capacity, name, awaits_trigger
        self._changed = threading.Condition()
        self._waiting: deque[Shot] = deque()
        self._missed, self._lost_packets = 0, 0
        self._source: Source | None = None
        self._heard, self._heard_s = False, time.monotonic()
        self._ended: CameraError | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"drain {name}", daemon=True)
        self._thread.start()

    def wait_opened(self, timeout_s: float) -> bool:
        """Wait until the camera has been opened; return whether that is over, well or not."""
        with self._changed:
            return bool(self._changed.wait_for(lambda: self._source or self._ended or self._stopping.is_set(), timeout_s))

    def take(self, timeout_s: float) -> Grab | None:
        """Return the oldest frame that waits, None if none came within the time or the stream has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended or self._stopping.is_set(), timeout_s)
            if not self._waiting:
                return None
            missed, lost_packets, self._missed, self._lost_packets = self._missed, self._lost_packets, 0, 0
            return Grab(self._waiting.popleft(), missed, lost_packets)

    @property
    def source(self) -> Source | None:
        """The opened source, for what may be called from any thread; None before and after."""
        return self._source

    @property
    def ended(self) -> CameraError | None:
        """Why the stream ended, or None while it runs or frames of it wait."""
        with self._changed:
            return None if self._waiting else self._ended

    @property
    def alive(self) -> bool:
        """True while the thread runs, perhaps stuck in a call of the driver."""
        return self._thread.is_alive()

    @property
    def silent_s(self) -> float:
        """Seconds since the last live frame; where the camera waits for triggers, since the driver last answered. Before: since opening."""
        return time.monotonic() - self._heard_s

    def stop(self, timeout_s: float) -> None:
        """Ask the thread to end and wait so long for it. One that is stuck in a call ends, and lets the camera go, when that returns."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        ended: CameraError = CameraLost(f"{self._name}: it was closed")
        source = None
        try:
            source = self._connect()
            self._opened(source)
            while not self._stopping.is_set():
                self._keep(source.shoot())
        except CameraError as error:
            ended = error
        except BaseException as error:  # noqa: BLE001 - a driver's own failure, its panics included, costs this camera and no other
            ended = CameraLost(f"{self._name}: its driver failed: {type(error).__name__}: {error}; tell its maker")
            ended.__cause__ = error
        finally:
            with self._changed:
                self._source = None
            if source is not None:
                source.release()
            with self._changed:
                self._ended = ended
                self._changed.notify_all()

    def _opened(self, source: Source) -> None:
        with self._changed:
            self._source, self._heard_s = source, time.monotonic()
            self._changed.notify_all()

    def _keep(self, shot: Shot | None) -> None:
        """Add a live frame; an old one, and one that there is no more room for, is missed. What lay in buffers at the opening is not."""
        with self._changed:
            if shot is None or not shot.is_live:
                if self._awaits_trigger:
                    self._heard_s = time.monotonic()
                self._missed += shot is not None and self._heard
                return
            self._missed += shot.skipped
            self._lost_packets += shot.lost_packets
            self._heard, self._heard_s = True, time.monotonic()
            if len(self._waiting) >= self._capacity:
                self._waiting.popleft()
                self._missed += 1
            self._waiting.append(shot)
            self._changed.notify_all()
