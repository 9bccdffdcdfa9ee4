"""Drain: the thread that keeps a live stream empty, because a reader slower than the camera falls behind without limit.

It keeps the newest frames, dates each one when it arrives, and passes over those that lay in a buffer. It alone touches the capture, so
that nobody releases it while it is being read. When the stream ends, it ends: a new one is started for the stream opened anew.
"""

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import cv2
from numpy.typing import NDArray

from inspector.edge.camera.camera import Moment
from inspector.edge.camera.capture import Capture
from inspector.edge.camera.freshness import Freshness


@dataclass(frozen=True, slots=True)
class Grab:
    """A frame as the camera gave it."""

    image: NDArray[Any]
    """(H, W, 3) uint8 BGR, or another layout that ``to_rgb`` knows."""
    moment: Moment
    """When it arrived."""
    missed: int
    """Frames since the grab before that gave way to others or were too old to be judged."""


class Drain:
    """Reads one opened capture until it ends or is stopped."""

    def __init__(self, capture: Capture, *, capacity: int, name: str) -> None:
        """Take the capture over and start reading; at most ``capacity`` frames wait, older ones give way."""
        self._capture, self._capacity = capture, capacity
        self._freshness = Freshness(capture.get(cv2.CAP_PROP_FPS))
        self._changed = threading.Condition()
        self._waiting: deque[tuple[NDArray[Any], Moment]] = deque()
        self._missed, self._heard = 0, False
        self._heard_s = time.monotonic()
        self._ended: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"drain {name}", daemon=True)
        self._thread.start()

    def take(self, timeout_s: float) -> Grab | None:
        """Return the oldest frame that waits, None if none came within the time or the stream has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended or self._stopping.is_set(), timeout_s)
            if not self._waiting:
                return None
            missed, self._missed = self._missed, 0
            return Grab(*self._waiting.popleft(), missed)

    @property
    def ended(self) -> str | None:
        """Why the stream ended, or None while it runs or frames of it wait."""
        with self._changed:
            return None if self._waiting else self._ended

    @property
    def silent_s(self) -> float:
        """Seconds since the stream opened or last gave a live frame."""
        return time.monotonic() - self._heard_s

    def stop(self, timeout_s: float) -> None:
        """Ask the thread to end and wait so long for it. One that is stuck in a read ends, and releases the capture, when that returns."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        reason = "its reading thread died"
        try:
            while not self._stopping.is_set():
                began_s = time.monotonic()
                ok, image = self._capture.read()
                if not ok or image is None:
                    reason = "the stream ended"
                    return
                self._keep(image, Moment.now(), is_live=self._freshness.is_live(time.monotonic() - began_s))
        except cv2.error as error:
            reason = f"reading failed: {error.err}"
        finally:
            self._capture.release()
            with self._changed:
                self._ended = reason
                self._changed.notify_all()

    def _keep(self, image: NDArray[Any], moment: Moment, *, is_live: bool) -> None:
        """Add a live frame; an old one, and one that there is no more room for, is missed. What lay in buffers at the opening is not."""
        with self._changed:
            if not is_live:
                self._missed += self._heard
                return
            self._heard, self._heard_s = True, time.monotonic()
            if len(self._waiting) >= self._capacity:
                self._waiting.popleft()
                self._missed += 1
            self._waiting.append((image, moment))
            self._changed.notify_all()
