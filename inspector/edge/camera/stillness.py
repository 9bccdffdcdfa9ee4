"""Stillness: tells a camera that shows one and the same picture over and over from a live one, whose sensor is never without noise.

Pictures are compared in full, but a few rows decide at once in nearly all cases, so that a live camera costs next to nothing.
"""

import numpy as np

from inspector.core.frame import Image

_GLANCE = 61
"""Of so many rows the first is looked at before the others."""


class Stillness:
    """Looks at one camera's pictures, in order, over all its reconnections: a picture that stays the same through one is still frozen."""

    def __init__(self, limit: int) -> None:
        """``limit``: so many equal pictures in a row are a fault; 0 switches every check off."""
        self._limit = limit
        self._last: Image | None = None
        self._equal = 0
        self._number: int | None = None

    def reopened(self) -> None:
        """Note that the camera was opened anew: its frame counter may begin anywhere."""
        self._number = None

    def look(self, image: Image, number: int | None) -> str | None:
        """Return why a picture, (H, W, 3), may not be judged; None if it may. ``number`` is the camera's frame counter, if it has one."""
        if not self._limit:
            return None
        stands, self._number = number is not None and number == self._number, number
        self._equal = self._equal + 1 if self._last is not None and _equal(self._last, image) else 1
        self._last = image
        if stands:
            return f"the picture is frozen: the camera's frame counter stands still at {number}; restart the camera"
        if self._equal >= self._limit:
            return (
                f"the picture is frozen: {self._equal} in a row are equal to the last pixel, where a sensor's noise never repeats;"
                " restart the camera (or raise frozen_after if it is meant to show a still picture)"
            )
        return None


def _equal(one: Image, other: Image) -> bool:
    """Return whether two pictures are the same."""
    if one.shape != other.shape or not np.array_equal(one[::_GLANCE], other[::_GLANCE]):
        return False
    return np.array_equal(one, other)
