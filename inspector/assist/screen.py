"""The screen as a picture: what an operator sees, taken with Pillow."""

import os

import numpy as np
from PIL import Image as Pillow
from PIL import ImageGrab

from inspector.core.frame import Image
from inspector.errors import AssistError


def screenshot() -> Image:
    """Return the screen, (H, W, 3) uint8 RGB, read-only. Raises ``AssistError`` where there is none."""
    if not os.environ.get("DISPLAY"):
        raise AssistError("there is no screen to take a picture of: $DISPLAY is not set; run this in the desktop's session, or use --image")
    try:
        grabbed: Pillow.Image = ImageGrab.grab(xdisplay="")
    except OSError as error:
        raise AssistError(f"the screen {os.environ['DISPLAY']} gives no picture ({error}); use --image with a saved one") from error
    image = np.asarray(grabbed.convert("RGB"), np.uint8).copy()
    image.setflags(write=False)
    return image


def cut(image: Image, box_px: tuple[int, int, int, int], what: str) -> Image:
    """Return the part (x, y, width, height) of a picture. Raises ``AssistError`` if it does not lie within it."""
    x, y, width, height = box_px
    rows, columns = image.shape[:2]
    if x < 0 or y < 0 or width < 1 or height < 1 or x + width > columns or y + height > rows:
        raise AssistError(f"--box {x},{y},{width},{height} leaves {what} of {columns} x {rows} pixels; give x,y,width,height within it")
    return image[y : y + height, x : x + width]
