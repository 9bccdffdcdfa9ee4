"""The embedding table on the disk: float16 rows, or packed ones of 4 bits with a scale and a zero point for each block of a row.

A packed row of D numbers in M blocks, an even number of them, takes D / 2 + 2.5 * M bytes: the levels, the first of two in the lower half
of a byte; M float16 scales, little-endian; M zero points, packed as the levels are. A number is (level - zero) * scale. V rows, B = D / M
numbers of a block.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inspector.errors import CheckpointError

_ROWS_AT_ONCE = 1024
"""Rows expanded in one go: little memory beside the table."""


def read_table(path: Path, width: int) -> NDArray[np.float16]:
    """Return the (V, D) table in a file, mapped from it where it is not packed. Raises ``CheckpointError`` if it is of another width."""
    stored: NDArray[np.float16] | NDArray[np.uint8] = np.load(path, mmap_mode="r")
    if stored.dtype == np.uint8 and stored.ndim == 2 and _is_whole(stored.shape[1], width):
        return unpacked(np.asarray(stored), width)
    if stored.dtype != np.float16 or stored.ndim != 2 or stored.shape[1] != width:
        raise CheckpointError(f"{path}: {stored.dtype} {stored.shape} is no embedding table of width {width}; fetch the model folder anew")
    return np.asarray(stored, np.float16)


def pack(levels: NDArray[np.uint8], scales: NDArray[np.float16], zeros: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (V, D / 2 + 2.5 * M) bytes of (V, M, B) levels of 4 bits, (V, M) scales and (V, M) zero points."""
    halves = (flat[:, ::2] | flat[:, 1::2] << 4 for flat in (levels.reshape(len(levels), -1), zeros))
    return np.concatenate([next(halves), np.ascontiguousarray(scales, "<f2").view(np.uint8), next(halves)], axis=1)


def unpacked(rows: NDArray[np.uint8], width: int) -> NDArray[np.float16]:
    """Return the (V, D) table of packed rows."""
    blocks = 2 * (rows.shape[1] - width // 2) // 5
    table = np.empty((len(rows), width), np.float16)
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[first : first + _ROWS_AT_ONCE]
        bytes_, scales, zeros = np.split(part, [width // 2, width // 2 + 2 * blocks], axis=1)
        levels, zero = (np.stack([half & 15, half >> 4], -1).reshape(len(part), blocks, -1).astype(np.float32) for half in (bytes_, zeros))
        values = (levels - zero) * np.ascontiguousarray(scales).view("<f2").astype(np.float32)[..., None]
        table[first : first + len(part)] = values.reshape(len(part), width)
    return table


def _is_whole(row_bytes: int, width: int) -> bool:
    """Tell whether so many bytes are a packed row of this width."""
    pairs, rest = divmod(row_bytes - width // 2, 5)
    return pairs > 0 and rest == 0 and width % (4 * pairs) == 0
