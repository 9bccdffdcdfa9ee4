"""Scale on the plane that a board lies on, in pictures whose distortion is taken out as the station does it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.errors import CalibrationError
from inspector.training.lens.board import View
from inspector.training.lens.fit import Lens

_LARGEST_SPREAD = 0.05
"""Largest difference of scale across the board; beyond it one number means nothing."""


def straightened(view: View, lens: Lens) -> NDArray[np.float64]:
    """Return a view's corners, (n, 2) pixels, where they lie in the corrected picture."""
    matrix = np.array(lens.matrix)
    points = cv2.undistortPoints(view.corners_px.reshape(-1, 1, 2), matrix, np.array(lens.coefficients), P=matrix)
    return np.asarray(points, np.float64).reshape(-1, 2)


def mm_per_px(view: View, lens: Lens) -> float:
    """Return the scale in the board's plane, millimetres a pixel: the median over its corners of 1/sqrt(area scale of the homography).

    Raises ``CalibrationError`` if the scale differs by more than 5 % across the board: the camera does not look straight at the plane.
    """
    homography, _ = cv2.findHomography(view.board_mm[:, :2], straightened(view, lens))
    if homography is None:
        raise CalibrationError(f"--scale-picture {view.path.name}: the board's corners do not lie on a plane; take the picture again")
    depth = view.board_mm[:, :2].astype(np.float64) @ homography[2, :2] + homography[2, 2]
    scales = np.sqrt(np.abs(depth**3 / np.linalg.det(homography)))
    spread = float(scales.max() / scales.min()) - 1.0
    if spread > _LARGEST_SPREAD:
        cure = "the camera looks at it aslant, one scale would be wrong; lay it flat on the part's plane, or leave --scale-picture out"
        raise CalibrationError(f"--scale-picture {view.path.name}: the scale differs by {100 * spread:.1f} % across the board; {cure}")
    return float(np.median(scales))
