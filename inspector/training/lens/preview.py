"""A picture before and after the correction, side by side, with straight lines along the board's rows: they fit after, not before."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.core.frame import Image
from inspector.errors import CalibrationError
from inspector.training.lens.board import View
from inspector.training.lens.fit import Lens
from inspector.training.lens.plane import straightened

_LINE = (255, 40, 40)
_CORNER = (40, 160, 255)


def preview(view: View, image: Image, lens: Lens) -> Image:
    """Return (H, 2W, 3) uint8 RGB: the picture and its correction, straight lines through the ends of the board's rows, and its corners."""
    after = cv2.undistort(image, np.array(lens.matrix), np.array(lens.coefficients))
    halves = (image.copy(), view.corners_px.astype(np.float64)), (np.asarray(after, np.uint8), straightened(view, lens))
    return np.hstack([_lined(picture, view.board_mm, corners) for picture, corners in halves])


def write_preview(path: Path, picture: Image) -> None:
    """Write an RGB picture as PNG. Raises ``CalibrationError`` if it cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes())
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be written ({error.strerror}); check the folder's owner and the disk") from error


def _lined(picture: Image, board_mm: NDArray[np.float32], corners_px: NDArray[np.float64]) -> Image:
    """Draw a straight line through the ends of each row and column, and a dot on each corner."""
    weight = max(1, picture.shape[1] // 900)
    for along, across in ((0, 1), (1, 0)):
        for place in np.unique(board_mm[:, across]):
            members = np.flatnonzero(board_mm[:, across] == place)
            ends = corners_px[members[np.argsort(board_mm[members, along])[[0, -1]]]].round().astype(int).tolist()
            cv2.line(picture, ends[0], ends[1], _LINE, weight, cv2.LINE_AA)
    for corner in corners_px.round().astype(int).tolist():
        cv2.circle(picture, corner, 2 * weight, _CORNER, -1, cv2.LINE_AA)
    return picture
