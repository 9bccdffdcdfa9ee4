"""DeviceClock: turns a camera's own timestamps into the age of its frames, so that one that lay in a buffer is known for what it is.

The camera's clock and ours share no zero. The least delay between a timestamp and its arrival is taken for the way of a fresh frame; what
a frame took longer is its age. The least delay may grow slowly, because the two clocks drift apart.
"""

_DRIFT = 200e-6
"""Seconds a second by which two quartz clocks may part, generously."""
_LONGEST_AGE_S = 60.0
"""No driver keeps a frame longer: a greater age means that the camera's clock was set."""


class DeviceClock:
    """Reads one opened camera's timestamps, in order. Pure: the caller reads our clock."""

    def __init__(self, tick_hz: float) -> None:
        """``tick_hz``: ticks of the camera's clock in a second; 0 if it tells none, so that ages are unknown."""
        self._tick_hz = tick_hz
        self._least_s: float | None = None
        self._seen_s = 0.0
        self._ticks = 0

    def age_s(self, ticks: int | None, arrived_s: float) -> float:
        """Return how long before its arrival a frame was taken, seconds; 0 if the camera does not tell. ``arrived_s`` is our clock."""
        if not ticks or not self._tick_hz:
            return 0.0
        delay_s = arrived_s - ticks / self._tick_hz
        least_s = delay_s if self._least_s is None else min(delay_s, self._least_s + _DRIFT * (arrived_s - self._seen_s))
        if ticks < self._ticks or delay_s - least_s > _LONGEST_AGE_S:
            least_s = delay_s
        self._least_s, self._seen_s, self._ticks = least_s, arrived_s, ticks
        return delay_s - least_s
