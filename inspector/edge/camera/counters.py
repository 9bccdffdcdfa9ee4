"""CameraCounters: how one camera has fared since the station started, in numbers, for metrics and status."""

from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class CameraCounters:
    """One camera at one instant; every number only grows, but for the last two."""

    camera: str
    """Name of the camera."""
    frames: int = 0
    """Frames put into the queue, those that hold a fault included."""
    faulty_frames: int = 0
    """Frames among them that hold a fault instead of a picture."""
    dropped: int = 0
    """Frames that gave way to newer ones, in the camera or in the queue."""
    faults: int = 0
    """Times that the camera was lost or could not work."""
    reconnects: int = 0
    """Times that it came back."""
    lost_packets: int = 0
    """Network packets that were missing in its frames; 0 where the camera cannot tell."""
    is_lost: bool = False
    """True while a fault lasts."""
    last_frame_age_ms: float | None = None
    """Time since the last good frame was taken, milliseconds; None before the first."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


@runtime_checkable
class CountsPackets(Protocol):
    """A camera that knows of network packets that never came."""

    lost_packets: int
    """Packets missing since the start."""
