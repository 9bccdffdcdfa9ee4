"""The newest judged frame of each camera: put there by the frame loop, looked at by the link's thread."""

from dataclasses import dataclass, field

from inspector.core.frame import Frame
from inspector.core.inspection import Inspection


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame with a picture and what was logged of it."""

    frame: Frame
    """The frame."""
    inspection: Inspection
    """Its inspection, with its number."""


@dataclass(slots=True)
class Newest:
    """One frame a camera. A single assignment changes it, so both threads may use it without a lock."""

    by_camera: dict[str, Shown] = field(default_factory=dict)
    """The newest frame by camera."""
    last: Shown | None = None
    """The newest frame of all."""

    def put(self, shown: Shown) -> None:
        """Replace a camera's newest frame; one without a picture shows nothing."""
        if shown.frame.image.size:
            self.by_camera[shown.frame.camera] = self.last = shown

    def get(self, camera: str | None) -> Shown | None:
        """Return the newest frame of a camera, or of all."""
        return self.last if camera is None else self.by_camera.get(camera)
