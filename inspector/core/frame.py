"""A frame: one picture as the camera delivered it, with the instant it was taken."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture from a camera, or the fault that took its place."""

    station: str
    """Name of the station."""
    camera: str
    """Name of the camera in the station's settings."""
    frame_id: str
    """Identifies the frame within its camera: a counter or a file name."""
    captured_at: datetime
    """When the picture was taken, UTC."""
    grabbed_ns: int
    """``time.monotonic_ns()`` when the picture was taken; the frame's age is counted from here."""
    image: Image
    """(H, W, 3) uint8 RGB, read-only; (0, 0, 3) when ``fault`` is set."""
    product: str | None = None
    """Product in view, or None for the station's default product."""
    part_id: str | None = None
    """Serial number of the part in view."""
    lot: str | None = None
    """Lot, position or batch that the part belongs to; reports are looked up by it."""
    recorded_at: datetime | None = None
    """For a replayed picture: when it was first taken, UTC. History is looked up as of this instant."""
    exposure_us: float | None = None
    """Exposure time in microseconds."""
    source: str | None = None
    """File or address the picture came from."""
    number: int | None = None
    """The camera's own frame counter, where it has one; it may begin anywhere and wrap around."""
    fault: str | None = None
    """Why there is no usable picture; such a frame is logged as ``review``, never skipped."""

    @property
    def history_at(self) -> datetime:
        """Reports written before this instant (UTC) may be used for this frame."""
        return self.recorded_at or self.captured_at
