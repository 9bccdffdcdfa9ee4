"""A station's view made on the spot: plates, holes and screws that stay, a part in the middle that is another one in every picture."""

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.core.frame import Image

SIZE = (960, 540)
"""Width and height; three pixels of it are one of the reference."""
_MARGIN = 120


@functools.cache
def surround() -> NDArray[np.uint8]:
    """Return the fixed parts, larger than the picture on every side, (h, w, 3) uint8."""
    rng = np.random.default_rng(5)
    width, height = SIZE[0] + 2 * _MARGIN, SIZE[1] + 2 * _MARGIN
    scene = np.full((height, width, 3), 110, np.uint8)
    for _ in range(170):
        x, y, side, grey = int(rng.integers(width)), int(rng.integers(height)), int(rng.integers(10, 60)), int(rng.integers(40, 200))
        if rng.random() < 0.5:
            cv2.circle(scene, (x, y), side // 2, (grey,) * 3, -1, cv2.LINE_AA)
        else:
            box = cv2.boxPoints(((x, y), (side, side * 0.6), float(rng.uniform(0, 90)))).astype(np.int32)
            cv2.fillConvexPoly(scene, box, (grey,) * 3, cv2.LINE_AA)
    scene.setflags(write=False)
    return scene


def view(
    number: int,
    *,
    shift: tuple[float, float] = (0.0, 0.0),
    turn_deg: float = 0.0,
    light: float = 1.0,
    noise: float = 3.0,
    hand: bool = False,
) -> Image:
    """Return picture ``number``, (540, 960, 3) uint8 RGB: the camera's view shifted (pixels right, down) and turned, lit, with noise."""
    rng = np.random.default_rng(number)
    turn = cv2.getRotationMatrix2D((_MARGIN + SIZE[0] / 2, _MARGIN + SIZE[1] / 2), -turn_deg, 1.0)
    turn[:, 2] += np.array(shift) - _MARGIN
    picture = cv2.warpAffine(_with_part(rng), turn, SIZE, flags=cv2.INTER_LINEAR)
    if hand:
        cv2.ellipse(picture, (300 + 40 * (number % 9), 300), (130, 330), 20.0, 0.0, 360.0, (190, 150, 130), -1)
    lit = picture * light + rng.normal(0.0, noise, picture.shape)
    return np.clip(lit, 0, 255).astype(np.uint8)


def still_part(number: int) -> Image:
    """Return a picture of a part alone, (300, 300, 3) uint8 RGB: nothing in it stays from one to the next."""
    return np.ascontiguousarray(_with_part(np.random.default_rng(number))[240:540, 450:750])


def _with_part(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the surround with a part on its belt: another size, place, brightness and texture each time."""
    scene = surround().copy()
    middle = _MARGIN + SIZE[0] // 2, _MARGIN + SIZE[1] // 2
    cv2.rectangle(scene, (middle[0] - 190, 0), (middle[0] + 190, len(scene)), (70, 70, 70), -1)
    at = middle[0] + int(rng.integers(-40, 41)), middle[1] + int(rng.integers(-120, 121))
    coarse = rng.integers(60, 230, (9, 9, 3), dtype=np.uint8)
    side = int(rng.integers(180, 260))
    part = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    top, left = at[1] - side // 2, at[0] - side // 2
    scene[top : top + side, left : left + side] = part
    return scene
