"""What is at fault while the station goes on inspecting: from events that begin and end a fault to the state that is told.

Pure: it hears each event of the log and answers with ``running``, ``degraded`` or whatever state a command has set.
"""

from dataclasses import dataclass, field

from inspector.edge.payload import State

_BEGINS = {
    "camera-lost": "camera-back",
    "camera-moved": "camera-moved-ended",
    "disk-low": "disk-low-ended",
    "exposure-drift": "exposure-drift-ended",
    "pictures-lost": "pictures-back",
    "retention-failed": "retention-failed-ended",
    "wal-held": "wal-held-ended",
}
"""Kind of event that begins a fault, and the one that ends it."""
_OF_ONE_CAMERA = frozenset({"camera-lost", "camera-moved", "exposure-drift"})
"""Faults that each camera may have for itself; their details begin with the camera's name and a colon."""


@dataclass(slots=True)
class Ailing:
    """The state that commands and start have set, and the faults that make ``degraded`` of ``running``."""

    state: State = "starting"
    """What was set."""
    reason: str = ""
    """Why."""
    faults: dict[tuple[str, str], str] = field(default_factory=dict)
    """Detail of each present fault, by its kind and, for a camera, its name."""

    def hear(self, kind: str, detail: str) -> None:
        """Take note of an event."""
        begun = next((begin for begin, end in _BEGINS.items() if end == kind), None)
        fault = begun or kind
        key = (fault, detail.partition(":")[0] if fault in _OF_ONE_CAMERA else "")
        if begun is not None:
            self.faults.pop(key, None)
        elif kind in _BEGINS:
            self.faults[key] = detail

    @property
    def told(self) -> tuple[State, str]:
        """The state and reason that the station tells."""
        if self.state == "running" and self.faults:
            return "degraded", "; ".join(self.faults.values())
        return self.state, self.reason
