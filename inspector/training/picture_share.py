"""Where in a picture the attention went: the shares of image slots, laid out over the picture they stand for.

A picture may be read as a whole and in slices beside it, as MiniCPM-V does; then each place gets what its slices' slots and the whole
picture's slots have of it. Nothing is lost: the laid-out shares sum to what all slots have together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Tile:
    """A grid of slots over a part of the picture; its slots are counted row by row."""

    rows: int
    """Rows of slots."""
    columns: int
    """Columns of slots."""
    top: float = 0.0
    """Where it begins, as a share of the picture's height, 0..1."""
    left: float = 0.0
    """Where it begins, as a share of the picture's width, 0..1."""
    height: float = 1.0
    """Share of the picture's height."""
    width: float = 1.0
    """Share of the picture's width."""


def laid_out(shares: NDArray[np.float32], tiles: Sequence[Tile]) -> NDArray[np.float32]:
    """Return (rows, columns) of the finest grid, its sum that of the (I,) shares; the tiles' slots follow one another in ``shares``."""
    rows = max(round(tile.rows / tile.height) for tile in tiles)
    columns = max(round(tile.columns / tile.width) for tile in tiles)
    whole, start = np.zeros((rows, columns)), 0
    for tile in tiles:
        grid = shares[start : start + tile.rows * tile.columns].reshape(tile.rows, tile.columns)
        start += grid.size
        whole += _overlap(rows, tile.rows, tile.top, tile.height) @ grid @ _overlap(columns, tile.columns, tile.left, tile.width).T
    return whole.astype(np.float32)


def _overlap(fine: int, coarse: int, start: float, length: float) -> NDArray[np.float64]:
    """Return (fine, coarse): which part of each of a tile's cells lies in each cell of the whole, along one side."""
    edges = np.linspace(0.0, 1.0, fine + 1)
    cells = start + length * np.linspace(0.0, 1.0, coarse + 1)
    common = np.minimum(edges[1:, None], cells[None, 1:]) - np.maximum(edges[:-1, None], cells[None, :-1])
    part: NDArray[np.float64] = np.maximum(common, 0.0) * coarse / length
    return part
