"""The retention thread: ``retain`` in a thread of its own, and whether it is alive."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from inspector.edge.health.pulse import Pulse
from inspector.edge.retention import retain
from inspector.settings import LogSection

_PATIENCE_S = 120.0
"""How long a step of a sweep, a batch or a file, may take; a disk that is merely slow needs seconds."""
_JOIN_S = 2.0
"""How long the thread may take to end."""


class RetentionThread:
    """Sweeps and watches the disk until it is stopped."""

    def __init__(self, path: Path, rules: LogSection, on_fault: Callable[[str, str | None], None], patience_s: float) -> None:
        """Take what ``retain`` takes, and how long a step of a sweep may last."""
        self._stop, self._pulse = threading.Event(), Pulse(patience_s)
        arguments = (path, rules, self._stop, on_fault)
        self._thread = threading.Thread(target=retain, args=arguments, kwargs={"beat": self._pulse.beat}, name="retention", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """True while the thread works or waits for its time; False if it has ended, or hangs in a step."""
        return self._thread.is_alive() and not self._pulse.is_still

    def stop(self) -> None:
        """Ask the thread to end and wait for it, 2 s at most."""
        self._stop.set()
        self._thread.join(_JOIN_S)


@contextmanager
def open_retention(path: Path, rules: LogSection, tell: Callable[[str, str], None]) -> Iterator[RetentionThread]:
    """Run the retention thread; ``tell`` takes kind and detail of an event and must not wait."""

    def on_fault(kind: str, message: str | None) -> None:
        tell(*((kind, message) if message else (f"{kind}-ended", "the fault is over")))

    thread = RetentionThread(path, rules, on_fault, _PATIENCE_S)
    thread.start()
    try:
        yield thread
    finally:
        thread.stop()
