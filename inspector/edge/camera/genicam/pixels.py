"""Pixel formats: which of them can be judged, and how a frame in one becomes (H, W, 3) uint8 RGB.

Names are those of the PFNC (EMVA, Pixel Format Naming Convention). ``viva-genicam`` unpacks packed formats and turns Y'CbCr into RGB;
deeper ones keep their highest eight bits; Bayer mosaics are interpolated by OpenCV.
"""

import re
from collections.abc import Iterable
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.core.frame import Image
from inspector.edge.camera.decode import frozen
from inspector.errors import CameraError

READABLE = re.compile(
    r"(Mono|Bayer(?P<tile>RG|GB|GR|BG))(?P<bits>8|10|12|14|16)(p|Packed)?|(RGB|BGR)8(Packed)?|(YUV|YCbCr)422.*|YCbCr8.*|YUV8.*"
)
"""Every format that can be judged."""
SUMMARY = "Mono8, Mono10, Mono12, Mono14, Mono16, BayerRG8/GB8/GR8/BG8 and deeper (also packed), RGB8, BGR8, YUV422"
"""The same for people."""
# OpenCV names a mosaic by its first two rows: GenICam's RG begins with red, then green.
_MOSAICS = {"RG": cv2.COLOR_BayerRGGB2RGB, "GR": cv2.COLOR_BayerGRBG2RGB, "GB": cv2.COLOR_BayerGBRG2RGB, "BG": cv2.COLOR_BayerBGGR2RGB}


class Pixels(Protocol):
    """A frame of the library, as far as its pixels go."""

    @property
    def pixel_format(self) -> str:
        """Its format, by name."""
        ...

    def to_numpy(self) -> NDArray[Any]:
        """Return (H, W) or (H, W, 3), at the camera's own depth; bytes in a row if the format has no conversion."""
        ...


def readable(formats: Iterable[str]) -> list[str]:
    """Return those formats that can be judged."""
    return [name for name in formats if READABLE.fullmatch(name)]


def to_rgb(frame: Pixels) -> Image:
    """Return a frame as (H, W, 3) uint8 RGB, read-only. Raises ``CameraError`` that names the format if there is no way."""
    name = frame.pixel_format
    found = READABLE.fullmatch(name)
    pixels = frame.to_numpy() if found else np.zeros(0, np.uint8)
    if not found or pixels.ndim not in {2, 3} or not pixels.size:
        raise CameraError(f"pixel format {name} cannot be judged; set pixel_format to one of {SUMMARY}")
    if pixels.dtype == np.uint16:
        pixels = (pixels >> (int(found["bits"]) - 8)).astype(np.uint8)
    if found["tile"]:
        pixels = cv2.cvtColor(pixels, _MOSAICS[found["tile"]])
    elif pixels.ndim == 2:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    return frozen(np.asarray(pixels, np.uint8))
