"""Paint: a picture that tells the instant at which it was painted, through JPEG and H.264 too; every row is the same, so damage shows."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BITS = 40


def now_ms() -> int:
    """Return the clock that all programs on this machine share, milliseconds."""
    return time.monotonic_ns() // 1_000_000


def painted(instant_ms: int, width: int, height: int) -> NDArray[np.uint8]:
    """Return (height, width): the instant in bits, each a block of dark or bright, from left to right."""
    bits = (instant_ms >> np.arange(_BITS, dtype=np.int64)) & 1
    row = np.full(width, 128, np.uint8)
    filled = np.repeat(np.where(bits, 220, 35).astype(np.uint8), width // _BITS)
    row[: filled.size] = filled
    return np.broadcast_to(row, (height, width))


def read_instant_ms(image: NDArray[Any]) -> int:
    """Return the instant that stands in a picture, (H, W) or (H, W, 3)."""
    grey = image if image.ndim == 2 else image[..., 1]
    size = grey.shape[1] // _BITS
    means = grey[:, : size * _BITS].reshape(grey.shape[0], _BITS, size).mean(axis=(0, 2))
    return int(((means > 128).astype(np.int64) << np.arange(_BITS)).sum())


def is_whole(image: NDArray[Any]) -> bool:
    """Return whether an uncompressed picture has every row, that is, lost no packet."""
    return bool((image == image[0]).all())
