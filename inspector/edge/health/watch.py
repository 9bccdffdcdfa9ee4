"""The watch: systemd's watchdog is fed only while every thread that the station needs is alive, and a thread that hangs is told by name.

A camera that is lost does not hang: its thread tells of the loss and tries again. Nor does a publisher without a broker, nor a long sweep.
What hangs, or has ended against its will, cannot be cured from within: without pings systemd starts the station anew.
"""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from inspector.edge.systemd import Systemd


class Living(Protocol):
    """Something that works in a thread of its own."""

    @property
    def alive(self) -> bool:
        """False if its thread has ended against its will, or hangs."""
        ...


class Watch:
    """Looks after threads. Belongs to the frame loop's thread, whose own life its calls prove."""

    def __init__(self, systemd: Systemd, parts: Mapping[str, Living], clock: Callable[[], float] = time.monotonic) -> None:
        """Take who is to be alive, by the name that is told."""
        self._systemd, self._parts, self._clock = systemd, parts, clock
        self._every_s = systemd.watchdog_period_s()
        self._pinged_s: float | None = None
        self._hung: list[str] = []

    def look(self, note: Callable[[str, str], None]) -> None:
        """Feed the watchdog if it is due and all are alive; ``note`` takes kind and detail of an event. Raises what ``note`` raises."""
        hung = [name for name, part in self._parts.items() if not part.alive]
        if not hung:
            self._ping()
        before, self._hung = self._hung, hung
        for name in hung:
            if name not in before:
                self._systemd.status(f"{name} hangs")
                note("thread-hung", f"{name}: gives no sign of life; the watchdog of systemd starts the station anew, elsewhere restart it")
        for name in before:
            if name not in hung:
                self._systemd.status("running")
                note("thread-back", f"{name}: works again")

    def _ping(self) -> None:
        now_s = self._clock()
        if self._every_s is not None and (self._pinged_s is None or now_s - self._pinged_s >= self._every_s):
            self._systemd.ping()
            self._pinged_s = now_s
