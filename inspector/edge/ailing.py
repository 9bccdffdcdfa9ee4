"""What is at fault while the station goes on inspecting: from events that begin and end a fault to the state that is told.

Pure: it hears each event of the log and answers with ``running``, ``degraded``, ``paused``. Whoever reads the log comes to the same.
"""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from inspector.edge.payload import State

T = TypeVar("T")

_BEGINS = {
    "camera-lost": "camera-back",
    "camera-moved": "camera-moved-ended",
    "disk-low": "disk-low-ended",
    "exposure-drift": "exposure-drift-ended",
    "pictures-lost": "pictures-back",
    "retention-failed": "retention-failed-ended",
    "thread-hung": "thread-back",
    "wal-held": "wal-held-ended",
}
"""Kind of event that begins a fault, and the one that ends it."""
_BESIDE = {"broker-lost": "broker-back", "commands-refused": "commands-accepted", "publish-refused": "publish-accepted"}
"""The same for faults between station and broker: the station inspects as well as ever, and the outbox keeps what it has to tell."""
_OF_EACH = {"camera-lost", "camera-moved", "exposure-drift", "publish-refused", "thread-hung"}
"""Faults that several may have, each for itself; the details begin with its name and a colon."""
_SETS: dict[str, State] = {"started": "running", "paused": "paused", "resumed": "running"}
"""Kind of event that sets the state."""


def told_kinds() -> set[str]:
    """Return the kinds of events that set the state, begin a fault or end one."""
    return {*_SETS, *(kind for pair in (_BEGINS | _BESIDE).items() for kind in pair)}


@dataclass(slots=True)
class Ailing:
    """The state that start and commands have set, and the faults that make ``degraded`` of ``running``."""

    state: State = "starting"
    """What was set."""
    reason: str = ""
    """Why it is paused."""
    faults: dict[tuple[str, str], str] = field(default_factory=dict)
    """Detail of each present fault, by its kind and the name of the one that has it, where several may."""

    def hear(self, kind: str, detail: str) -> None:
        """Take note of an event."""
        if kind in _SETS:
            self.state, self.reason = _SETS[kind], detail if kind == "paused" else ""
        elif kind in _BEGINS or kind in _BEGINS.values():
            _hear(self.faults, kind, detail, detail)

    @property
    def told(self) -> tuple[State, str]:
        """The state and reason that the station tells."""
        if self.state == "running" and self.faults:
            return "degraded", "; ".join(self.faults.values())
        return self.state, self.reason


@dataclass(slots=True)
class OpenFaults(Generic[T]):
    """Every fault that has begun and not ended, those between station and broker too."""

    by_key: dict[tuple[str, str], T] = field(default_factory=dict)
    """What stands for each fault, by its kind and the name of the one that has it, where several may."""

    def hear(self, kind: str, detail: str, what: T) -> None:
        """Take note of an event, for which ``what`` stands."""
        _hear(self.by_key, kind, detail, what)


def _hear(faults: dict[tuple[str, str], T], kind: str, detail: str, what: T) -> None:
    """Add the fault that an event begins, or remove the one that it ends."""
    ends = _BEGINS | _BESIDE
    begun = next((begin for begin, end in ends.items() if end == kind), None)
    fault = begun or kind
    key = (fault, detail.partition(": ")[0] if fault in _OF_EACH else "")
    if begun is not None:
        faults.pop(key, None)
    elif kind in ends:
        faults[key] = what
