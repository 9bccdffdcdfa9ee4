"""Pixels as the vision tower reads them: one square of the whole picture, 8-bit RGB. One place for training and inference."""

import cv2
import numpy as np

from inspector.core.frame import Image


def squared(image: Image, side: int) -> Image:
    """Return (side, side, 3): the whole picture, area-averaged where it shrinks and linear where it grows, aspect not kept."""
    shrinks = image.shape[0] * image.shape[1] > side * side
    resized = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8)
