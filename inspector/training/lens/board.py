"""A calibration board, and where its inner corners lie in a picture.

A ChArUco board may be partly out of the picture, which lets its corners reach the picture's; a chessboard must be seen whole.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.core.frame import Image
from inspector.errors import CalibrationError

_LEAST_CORNERS = 8
"""A view with fewer says too little about its pose."""
_DICTIONARY = cv2.aruco.DICT_5X5_250


@dataclass(frozen=True, slots=True)
class View:
    """A board as one picture shows it."""

    path: Path
    """The picture."""
    board_mm: NDArray[np.float32]
    """(n, 3) inner corners on the board, millimetres, z = 0."""
    corners_px: NDArray[np.float32]
    """(n, 2) the same corners in the picture, pixels."""
    size: tuple[int, int]
    """Width and height of the picture, pixels."""


@dataclass(frozen=True, slots=True)
class Board:
    """A flat board of squares."""

    kind: Literal["charuco", "chessboard"]
    """ChArUco with markers of OpenCV's dictionary 5X5_250, or a plain chessboard."""
    columns: int
    """Squares in a row."""
    rows: int
    """Squares in a column."""
    square_mm: float
    """Side of a square."""
    marker_mm: float
    """Side of a marker; means nothing on a chessboard."""

    def __post_init__(self) -> None:
        """Raise ``CalibrationError`` where no such board can be."""
        if min(self.columns, self.rows) < 4:
            raise CalibrationError(f"--squares {self.columns}x{self.rows}: a board needs at least 4x4 squares")
        if self.kind == "charuco" and not 0.0 < self.marker_mm < self.square_mm:
            raise CalibrationError(f"--marker-mm {self.marker_mm:g}: a marker must be smaller than its square of {self.square_mm:g} mm")
        if self.kind == "charuco" and self.columns * self.rows // 2 > 250:
            raise CalibrationError(f"--squares {self.columns}x{self.rows}: the dictionary has 250 markers, so at most 500 squares")

    def charuco(self) -> cv2.aruco.CharucoBoard:
        """Return OpenCV's board, in millimetres."""
        words = cv2.aruco.getPredefinedDictionary(_DICTIONARY)
        return cv2.aruco.CharucoBoard((self.columns, self.rows), self.square_mm, self.marker_mm, words)

    def view(self, path: Path, image: Image) -> View | None:
        """Return where the board's corners lie in an (H, W, 3) uint8 RGB picture, None if too little of it can be found."""
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        found = self._charuco_corners(grey) if self.kind == "charuco" else self._chessboard_corners(grey)
        if found is None or len(found[0]) < _LEAST_CORNERS or np.linalg.matrix_rank(found[0][:, :2] - found[0][0, :2]) < 2:
            return None
        return View(path, found[0], found[1], (image.shape[1], image.shape[0]))

    def _charuco_corners(self, grey: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        board = self.charuco()
        corners, ids, _, _ = cv2.aruco.CharucoDetector(board).detectBoard(grey)
        if ids is None or not len(ids):
            return None
        board_mm = np.asarray(board.getChessboardCorners(), np.float32)[np.ravel(ids)]
        return board_mm, np.asarray(corners, np.float32).reshape(-1, 2)

    def _chessboard_corners(self, grey: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        across, down = self.columns - 1, self.rows - 1
        is_found, corners = cv2.findChessboardCornersSB(grey, (across, down), flags=cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_ACCURACY)
        if not is_found:
            return None
        board_mm = np.zeros((across * down, 3), np.float32)
        board_mm[:, :2] = np.mgrid[1 : across + 1, 1 : down + 1].T.reshape(-1, 2) * self.square_mm
        return board_mm, np.asarray(corners, np.float32).reshape(-1, 2)
