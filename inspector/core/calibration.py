"""Camera calibration: what is known of a camera's lens, scale, light and focus."""

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from inspector.core.scene import SceneReference


@dataclass(frozen=True, slots=True)
class CameraCalibration:
    """How to read one camera's pictures. The default does nothing."""

    camera_matrix: tuple[tuple[float, float, float], ...] | None = None
    """3x3 intrinsic matrix in pixels, or None if the lens is not calibrated."""
    dist_coeffs: tuple[float, ...] = ()
    """Distortion coefficients in OpenCV's order (k1 k2 p1 p2 k3 ...)."""
    mm_per_px: float | None = None
    """Scale on the part's surface, millimetres a pixel."""
    luminance_range: tuple[float, float] = (0.0, 255.0)
    """A region whose mean luminance (0..255) lies outside is a quality fault."""
    blur_min: float = 0.0
    """A region whose variance of Laplacian lies below is a quality fault; 0 switches the check off."""
    flat_field: str | None = None
    """File with the gain map, beside camera.toml; its name bears the hash of its content."""
    reference: SceneReference | None = None
    """How the scene looks when all is well; None: a moved camera or a drifting exposure is not told."""
    calibrated_at: datetime | None = None
    """When it was measured, UTC."""
    gain: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    """(H, W) content of ``flat_field``: what each of the sensor's pixels is multiplied with; None changes nothing."""
