"""The scene before a camera: how it looks when the camera is well mounted and lit, and what one look at it finds."""

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

TILE_PX = 32
"""Side of a fixed part, reference pixels."""
LONGEST_PX = 320
"""Longer side of a reference at most; one reference pixel stands for as many pixels of the camera's picture as that takes."""
_NOTHING = np.zeros((0, 0), np.uint8)


@dataclass(frozen=True, slots=True)
class SceneReference:
    """A camera's scene, taken when all was well. *Reference pixels* are those of ``grey``, at most 320 a side."""

    picture: str
    """File with ``grey``, beside camera.toml; its name bears the hash of its content."""
    size_px: tuple[int, int]
    """Width and height of the camera's pictures."""
    frames: int
    """Pictures behind it."""
    luminance: tuple[float, float, float]
    """Mean luminance of the pictures, 0..255: 5th percentile, median, 95th percentile."""
    focus: tuple[float, float, float]
    """Variance of Laplacian of the pictures, the same percentiles."""
    shift_sigma_px: float
    """Natural shift of the scene over the pictures, root mean square, in pixels of the camera's pictures."""
    light_sigma: float
    """Natural variation of the brightness over the pictures, standard deviation, as a share."""
    moved_px: float
    """Shift beyond which the camera counts as moved, in pixels of the camera's pictures."""
    light_limit: float
    """Change of brightness, as a share, beyond which the exposure counts as drifted."""
    tiles: tuple[tuple[int, int], ...] = ()
    """(x, y) corners of the scene's fixed parts, squares of 32 reference pixels; none: a moved camera cannot be seen."""
    calibrated_at: datetime | None = None
    """When it was taken, UTC."""
    grey: NDArray[np.uint8] = field(default_factory=lambda: _NOTHING, compare=False, repr=False)
    """(h, w) luminance of the scene, median over the pictures, read-only."""

    @property
    def scale(self) -> float:
        """Pixels of the camera's pictures in one reference pixel."""
        return float(max(self.size_px) / max(*self.grey.shape, 1))


@dataclass(frozen=True, slots=True)
class Look:
    """What one picture says about the scene."""

    shift_px: float | None = None
    """Shift of the fixed parts against the reference, root mean square, in pixels of the camera's pictures; None: not recognised."""
    turn_deg: float = 0.0
    """Rotation, degrees, clockwise as seen in the picture."""
    light: float | None = None
    """Brightness against the reference's, as a factor; None: not known."""
    trouble: str = ""
    """Why the scene was not recognised."""
