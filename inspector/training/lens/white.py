"""A flat field from pictures of an even white surface: the gain that makes them even.

In the terms of EMVA 1288 it evens out illumination, vignette and photo response non-uniformity (PRNU). The dark signal is taken to be 0, so
the camera's black level should be, and the camera linear (gamma 1).
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.core.frame import Image
from inspector.errors import CalibrationError
from inspector.settings.flat_field import LARGEST_GAIN

LEAST_FRAMES = 4
"""White pictures that are averaged at least: their noise goes into every picture."""
_SATURATED, _SATURATED_SHARE = 250, 0.001
_DARK = 60.0


def unfit_white(path: Path, image: Image, size: tuple[int, int]) -> str | None:
    """Return why an (H, W, 3) uint8 picture is no white frame of ``size`` (width, height), with the cure; None if it is one."""
    found = image.shape[1], image.shape[0]
    if found != size:
        return f"{path}: {found[0]} x {found[1]} pixels, the board's pictures have {size[0]} x {size[1]}; take it at their size"
    saturated = float(np.mean(image.max(2) >= _SATURATED))
    if saturated > _SATURATED_SHARE:
        return f"{path}: {100 * saturated:.1f} % of it is saturated, at most {100 * _SATURATED_SHARE:g} % may be; expose it shorter"
    if (mean := float(image.mean())) < _DARK:
        return f"{path}: mean {mean:.0f} of 255 is too dark, at least {_DARK:g} is needed; expose it longer"
    return None


def gain_of(frames: Sequence[Image], source: str) -> NDArray[np.float32]:
    """Return the (H, W) float32 gain, mean over white, of white frames of one size, mean of the luminance over the frame kept.

    Raises ``CalibrationError`` for fewer than 4 frames, or if a gain beyond 1/4..4 would be needed.
    """
    if len(frames) < LEAST_FRAMES:
        raise CalibrationError(f"{source}: {len(frames)} white pictures, {LEAST_FRAMES} are needed; take more")
    total = np.zeros(frames[0].shape[:2], np.float64)
    for frame in frames:
        total += cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    white = total / len(frames)
    if white.min() * LARGEST_GAIN < white.mean() or white.max() > LARGEST_GAIN * white.mean():
        row, column = np.unravel_index(int(white.argmin()), white.shape)
        raise CalibrationError(
            f"{source}: white differs from its mean by more than a factor of {LARGEST_GAIN:g} (darkest at x {column}, y {row}); "
            "remove what shades the surface, or improve the light"
        )
    return (white.mean() / white).astype(np.float32)
