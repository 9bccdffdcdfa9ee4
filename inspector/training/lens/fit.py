"""From views of a flat board to a lens: Zhang's method, and the reasons why its result would not be trusted.

Z. Zhang, "A flexible new technique for camera calibration", IEEE PAMI 22 (2000). The distortion is k1 k2 p1 p2 with k3 = 0: k3 takes
more views than a station's people take, and a wrong one bends the corners of every picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from inspector.errors import CalibrationError
from inspector.training.lens.board import View

LEAST_VIEWS = 8
"""Usable pictures that a calibration takes."""
_LEAST_IN_CORNER = 2
"""Views that must reach each corner of the frame."""
_FOCAL_DOUBT = 0.02
"""Largest standard deviation of the focal length, as a share of it."""


@dataclass(frozen=True, slots=True)
class Lens:
    """A fitted lens."""

    matrix: tuple[tuple[float, float, float], ...]
    """3x3 intrinsic matrix, pixels."""
    coefficients: tuple[float, ...]
    """Distortion k1 k2 p1 p2 k3."""
    rms_px: float
    """Root mean square of the reprojection error over all corners."""
    view_rms_px: tuple[float, ...]
    """The same for each view, in order."""
    focal_doubt: float
    """Standard deviation of the focal length, as a share of it."""


def fit_lens(views: Sequence[View]) -> Lens:
    """Fit intrinsic matrix and distortion. Raises ``CalibrationError`` if OpenCV finds none."""
    points = [view.board_mm for view in views], [view.corners_px for view in views]
    try:
        rms, matrix, coefficients, _, _, doubts, _, errors = cv2.calibrateCameraExtended(
            *points, views[0].size, np.eye(3), np.zeros(5), flags=cv2.CALIB_FIX_K3
        )
    except cv2.error as error:
        raise CalibrationError(f"no lens fits these views ({error.err}); take others, the board tilted this way and that") from error
    rows = tuple((float(row[0]), float(row[1]), float(row[2])) for row in matrix)
    focal_doubt = max(float(doubts[axis, 0]) / float(matrix[axis, axis]) for axis in (0, 1))
    lens_coefficients = tuple(float(value) for value in np.ravel(coefficients)[:5])
    return Lens(rows, lens_coefficients, float(rms), tuple(float(value) for value in np.ravel(errors)), focal_doubt)


def unfit_views(views: Sequence[View]) -> list[str]:
    """Return why views should not be calibrated on, each reason with its cure; [] if they may."""
    if len(views) < LEAST_VIEWS:
        return [f"{len(views)} usable pictures, {LEAST_VIEWS} are needed; take more, the board tilted and moved each time"]
    first = views[0]
    odd = [view for view in views if view.size != first.size]
    if odd:
        sizes = f"{odd[0].path.name} has {odd[0].size[0]} x {odd[0].size[1]} pixels, {first.path.name} {first.size[0]} x {first.size[1]}"
        return [f"pictures differ in size: {sizes}; a lens is calibrated at the size that the station uses"]
    return [
        f"the {name} corner of the frame is reached by {count} views, {_LEAST_IN_CORNER} are needed; take more with the board there"
        for name, count in corner_views(views).items()
        if count < _LEAST_IN_CORNER
    ]


def corner_views(views: Sequence[View]) -> dict[str, int]:
    """Return how many views have a board corner in the outermost third, across and down, of each corner of the frame."""
    counts = dict.fromkeys(("top left", "top right", "bottom left", "bottom right"), 0)
    for view in views:
        place = view.corners_px / np.array(view.size)
        for name in counts:
            down = place[:, 1] < 1 / 3 if "top" in name else place[:, 1] > 2 / 3
            across = place[:, 0] < 1 / 3 if "left" in name else place[:, 0] > 2 / 3
            counts[name] += bool(np.any(down & across))
    return counts


def unfit_lens(lens: Lens, views: Sequence[View], max_error_px: float) -> list[str]:
    """Return why a fitted lens should not be used, each reason with its cure; [] if it may."""
    reasons = []
    if not lens.rms_px <= max_error_px:
        worst = views[int(np.argmax(lens.view_rms_px))].path.name
        cure = f"remove blurred pictures (the worst is {worst}), check --squares, keep the board flat"
        reasons.append(f"reprojection error {lens.rms_px:.3f} px is above --max-error {max_error_px:g}; {cure}")
    if not lens.focal_doubt <= _FOCAL_DOUBT:
        cure = "tilt the board by 20 to 40 degrees, to every side"
        reasons.append(f"the focal length is uncertain by {100 * lens.focal_doubt:.1f} %, the views are too alike; {cure}")
    return reasons
