"""Pictures of a board through a known camera: each pixel's ray is traced back through the distortion onto the board."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.core.frame import Image
from inspector.training.lens.board import Board

MATRIX = np.array([[700.0, 0.0, 326.0], [0.0, 704.0, 236.0], [0.0, 0.0, 1.0]])
COEFFICIENTS = np.array([-0.22, 0.06, 0.0008, -0.0006, 0.0])
SIZE = (640, 480)
PX_PER_MM = 8
MARGIN_MM = 6
CHARUCO = Board("charuco", 9, 6, 10.0, 7.0)
CHESSBOARD = Board("chessboard", 9, 6, 10.0, 7.0)
TILTS = ((25, 20), (-30, 10), (20, -28), (-22, -20), (32, 0), (0, 32), (-15, 30), (8, -32), (28, 15), (-28, 25))
"""Degrees about x and y."""
SHIFTS = ((-9, -8), (9, -8), (-9, 8), (9, 8), (0, 0), (-11, -9), (11, 9), (11, -9), (-11, 9), (0, 5))
"""Millimetres of the board's middle from the frame's."""


def sheet(board: Board) -> NDArray[np.uint8]:
    """Return the printed board with a white margin, grey, ``PX_PER_MM``."""
    width, height = (int(n * board.square_mm * PX_PER_MM) for n in (board.columns, board.rows))
    if board.kind == "charuco":
        inner = np.asarray(board.charuco().generateImage((width, height)), np.uint8)
    else:
        side = int(board.square_mm * PX_PER_MM)
        row, column = np.mgrid[:height, :width] // side
        inner = np.where((row + column) % 2, 255, 0).astype(np.uint8)
    return np.pad(inner, MARGIN_MM * PX_PER_MM, constant_values=255)


def board_picture(
    board: Board, tilt: tuple[float, float] = (0, 0), shift: tuple[float, float] = (0, 0), distance_mm: float = 135.0
) -> Image:
    """Return a (480, 640, 3) uint8 RGB picture of a board."""
    turn, _ = cv2.Rodrigues(np.radians([tilt[0], tilt[1], 3.0]))
    middle = np.array([board.columns, board.rows, 0.0]) * board.square_mm / 2
    move = np.array([*shift, distance_mm]) - turn @ middle
    grid = np.stack(np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1])), -1).reshape(-1, 1, 2).astype(np.float64)
    rays = cv2.undistortPoints(grid, MATRIX, COEFFICIENTS).reshape(-1, 2)
    to_board = np.linalg.inv(np.column_stack([turn[:, 0], turn[:, 1], move]))
    hits = np.column_stack([rays, np.ones(len(rays))]) @ to_board.T
    places = ((hits[:, :2] / hits[:, 2:] + MARGIN_MM) * PX_PER_MM - 0.5).reshape(SIZE[1], SIZE[0], 2).astype(np.float32)
    soft = cv2.GaussianBlur(sheet(board), (0, 0), 0.6)
    grey = np.asarray(cv2.remap(soft, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderValue=(120,)), np.uint8)
    return np.repeat(grey[..., None], 3, 2)


def lay_pictures(folder: Path, board: Board, count: int = len(TILTS)) -> Path:
    """Write pictures of a board from several sides; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        cv2.imwrite(str(folder / f"board{number:02d}.png"), board_picture(board, TILTS[number], SHIFTS[number]))
    return folder
