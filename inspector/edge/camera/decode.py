"""Encoded bytes -> picture: (H, W, 3) uint8 RGB, read-only, upright; or an error that says what is wrong with the file.

OpenCV decodes: 16 bits a channel are scaled to 8 (65535 becomes 255), grey is repeated, transparency is dropped, palettes and CMYK are
converted, EXIF rotation is applied. What OpenCV would let pass half decoded is found here and refused.
"""

import io
import stat
from pathlib import Path

import cv2
import numpy as np
from PIL import TiffImagePlugin, UnidentifiedImageError

from inspector.core.frame import Image
from inspector.edge.camera.header import Header, read_header
from inspector.errors import CameraError

MAX_PIXELS = 120_000_000
"""Default limit on what is decoded; 120 megapixels take 360 MB."""
_BYTES_A_PIXEL = 8
"""No format here needs more: four channels of 16 bits."""
_SLACK_BYTES = 64_000_000
"""Room for metadata."""


def decode_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Decode a JPEG, PNG, BMP, TIFF or WebP. Raises ``CameraError`` that says what is wrong with it."""
    header = read_header(data)
    size = f"{header.width_px} x {header.height_px}"
    if header.truncated:
        raise CameraError(f"truncated: the {header.format} has no end after {len(data)} bytes; write it again")
    if not header.width_px or not header.height_px:
        raise CameraError(f"the {header.format} declares {size} pixels; write it again")
    if header.width_px * header.height_px > max_pixels:
        raise CameraError(f"the {header.format} declares {size} pixels, more than the {max_pixels} allowed; write a smaller picture")
    image = _decoded(data, header)
    if damage := _hidden_damage(data, header, image):
        raise CameraError(f"damaged: {damage}; write it again")
    return frozen(image)


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Read and decode a picture file. Raises ``CameraError`` that names the file and what is wrong with it."""
    try:
        return decode_image(picture_bytes(path, max_pixels), max_pixels=max_pixels)
    except OSError as error:
        raise CameraError(f"{path}: cannot be read: {error.strerror}; check the file and its permissions") from error
    except CameraError as error:
        raise CameraError(f"{path}: {error}") from error


def frozen(image: Image) -> Image:
    """Return the same picture, read-only from here on."""
    image.setflags(write=False)
    return image


def picture_bytes(path: Path, max_pixels: int = MAX_PIXELS) -> bytes:
    """Return a regular file's bytes. Raises ``OSError``, or ``CameraError`` if it is none or so large that it cannot be a picture."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise CameraError("not a file; name a picture")
    if status.st_size > _BYTES_A_PIXEL * max_pixels + _SLACK_BYTES:
        raise CameraError(f"{status.st_size} bytes are more than any picture of {max_pixels} pixels has; write a smaller one")
    return path.read_bytes()


def _decoded(data: bytes, header: Header) -> Image:
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        raise CameraError(f"the {header.format} cannot be decoded: {error.err}; write it again") from error
    if image is None:
        raise CameraError(
            f"the {header.format} cannot be decoded: it is damaged or truncated, or not of 8 or 16 bits a channel; write it again"
        )
    return np.asarray(image, np.uint8)


def _hidden_damage(data: bytes, header: Header, image: Image) -> str | None:
    """Return what OpenCV decoded around without a word."""
    if header.format == "JPEG" and _ends_early(data, image):
        return "the JPEG's pixels end early and the rest is filled with grey"
    if header.packed:
        return _packed_damage(data)
    return None


def _ends_early(data: bytes, image: Image) -> bool:
    """Tell a JPEG whose end marker came too early (cut short in transfer, then closed) from one with a grey corner.

    libjpeg fills what is missing with grey 128. If bytes put before the end marker change the picture, the pixels had not ended there.
    The second decoding is only paid for when a corner (any one: the picture may have been rotated) is exactly that grey.
    """
    rows, columns = (slice(0, 8), slice(-8, None)), (slice(0, 8), slice(-8, None))
    if not any((image[row, column] == 128).all() for row in rows for column in columns):
        return False
    end = data.rfind(b"\xff\xd9")
    longer = data[:end] + bytes(range(1, 100)) + data[end:]
    again = cv2.imdecode(np.frombuffer(longer, np.uint8), cv2.IMREAD_COLOR_RGB)
    return again is None or not np.array_equal(again, image)


def _packed_damage(data: bytes) -> str | None:
    """Decode a compressed TIFF with Pillow too: OpenCV only logs a strip that it could not unpack, and returns the picture without it."""
    try:
        TiffImagePlugin.TiffImageFile(io.BytesIO(data)).load()
    except (UnidentifiedImageError, SyntaxError, NotImplementedError):
        return None  # a layout that Pillow does not know, such as 16-bit RGB: no second opinion to be had
    except (OSError, ValueError) as error:
        return f"the TIFF cannot be unpacked: {error}"
    return None
