"""Pulse: the sign of life of a thread. It beats where a call could hang for ever and rests where it waits of its own accord."""

import time
from collections.abc import Callable


class Pulse:
    """One thread's sign of life. A single assignment changes it, so any thread may look without a lock."""

    def __init__(self, patience_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Take how long one piece of work may last, seconds; begin at rest."""
        self._patience_s, self._clock = patience_s, clock
        self._beat_s: float | None = None

    def beat(self) -> None:
        """Begin a piece of work, or get on with it."""
        self._beat_s = self._clock()

    def rest(self) -> None:
        """Wait, for as long as it may take."""
        self._beat_s = None

    @property
    def is_still(self) -> bool:
        """True if a piece of work lasts longer than the patience: the thread hangs."""
        beat_s = self._beat_s
        return beat_s is not None and self._clock() - beat_s > self._patience_s
