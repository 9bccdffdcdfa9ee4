"""A labelled picture, and its pixels as the daemon would see them."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from inspector.core.frame import Image
from inspector.edge.camera import read_image
from inspector.errors import CameraError, DataError


@dataclass(frozen=True, slots=True)
class Picture:
    """One labelled picture."""

    path: Path
    """File."""
    label: str
    """True label."""
    split: str
    """train, val or test."""
    group: str
    """Part, position, plate or board: all pictures of a group stand in one split."""
    taken_at: datetime | None = None
    """When it was taken, UTC, where the source says so."""
    entry: dict[str, Any] | None = None
    """The source's own record: boxes in pixels and meta."""
    lot: str | None = None
    """Lot, position or batch that reports are looked up by, where the source says so."""


def read_rgb(path: Path) -> Image:
    """Return a picture as (H, W, 3) uint8 RGB, read-only, decoded as the cameras do. Raises ``DataError`` if it cannot be."""
    try:
        return read_image(path)
    except CameraError as error:
        raise DataError(str(path.parent), [f"{error}; or remove the file"]) from error
