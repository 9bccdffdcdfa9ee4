"""Shot and Source: what a live camera's driver gives for each frame, and the calls by which the drain thread asks for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from inspector.core.frame import Image
from inspector.edge.camera.camera import Moment


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame as the driver gave it."""

    picture: Callable[[], Image]
    """Gives the picture, (H, W, 3) uint8 RGB, read-only; called for those frames alone that are looked at. Raises ``CameraError``."""
    moment: Moment
    """When it was taken, or, where the camera does not tell, when it arrived."""
    number: int | None = None
    """The camera's own frame counter; None if it has none."""
    exposure_us: float | None = None
    """Exposure time in microseconds, if known."""
    is_live: bool = True
    """False for a frame that lay in a buffer."""
    skipped: int = 0
    """Frames between the shot before and this one that the camera took and that never came."""
    lost_packets: int = 0
    """Network packets of this frame that are missing."""
    fault: str | None = None
    """Why the picture may not be judged; ``picture`` is then never called."""


class Source(Protocol):
    """An opened live camera. The drain thread alone calls it."""

    def shoot(self) -> Shot | None:
        """Wait for the next frame and return it; None if none came within the source's own patience and the camera is well.

        Raises ``CameraError``, usually ``CameraLost``, if the source can give no more frames.
        """
        ...

    def release(self) -> None:
        """Let the camera go. Never raises."""
        ...
