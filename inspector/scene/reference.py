"""A reference of the scene from pictures that a well mounted, well lit camera took while parts came and went.

Fixed parts are what looks the same, in the same place, in nine of ten pictures and nowhere else around: not the workpiece or the belt, not
an edge that could slide along itself. What varied over the pictures by nature sets the limits of the warnings.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.core.frame import Image
from inspector.core.scene import TILE_PX, Look, SceneReference
from inspector.errors import CalibrationError
from inspector.preprocess import sharpness
from inspector.scene.look import LEAST_SCORE, REACH_PX, correlation, look_at, shrunk, sought

LEAST_FRAMES = 10
"""Pictures that a reference takes: fewer say nothing about what varies by nature."""
_LEAST_TILES, _MOST_TILES = 4, 24
_STEP = TILE_PX // 2
_LEAST_CONTRAST = 8.0
"""Standard deviation of a part's grey levels: below it noise decides."""
_NOISE = 8.0
"""Standard deviation over the pictures, grey levels, above which a pixel of the scene has changed."""
_NEXT_BEST = 0.8
"""Correlation with another place around, above which a part might be found there."""
_OWN_PX = 4
"""So near its own place a part may well resemble itself."""
_FIXED_SHARE, _FIXED_PX = 0.9, 1.5
_LEAST_SPREAD_PX = 2 * TILE_PX
_SIGMAS = 4.0
_LEAST_MOVE_PX = 1.5
"""Least limit of the shift, reference pixels: below it the fit's own error would be told."""
_LEAST_LIGHT = 0.08
"""Least limit of the brightness, as a share."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A reference, and how much came and went while it was taken."""

    reference: SceneReference
    """The reference; its ``picture`` is still unnamed."""
    changed_share: float
    """Share of the scene, 0..1, that was not the same in all pictures."""


def reference_of(pictures: Iterable[Image], source: str) -> Drawn:
    """Return the reference of (H, W, 3) uint8 RGB pictures, which are let go one by one.

    Raises ``CalibrationError`` for fewer than 10 pictures, or of different sizes.
    """
    sizes, greys, focus = dict[tuple[int, int], None](), [], []
    for image in pictures:
        sizes[image.shape[1], image.shape[0]] = None
        greys.append(shrunk(image))
        focus.append(sharpness(image))
    if len(greys) < LEAST_FRAMES:
        raise CalibrationError(f"{source}: {len(greys)} pictures, {LEAST_FRAMES} are needed, better 30, of different parts; take more")
    if len(sizes) > 1:
        found = ", ".join(f"{width} x {height}" for width, height in sizes)
        raise CalibrationError(f"{source}: the pictures differ in size ({found} pixels); take all at the size that the station uses")
    grey = np.median(np.stack(greys), 0).astype(np.uint8)
    grey.setflags(write=False)
    lights = [float(cv2.mean(small)[0]) for small in greys]
    plain = SceneReference(
        picture="",
        size_px=next(iter(sizes)),
        frames=len(greys),
        luminance=_percentiles(lights),
        focus=_percentiles(focus),
        shift_sigma_px=0.0,
        light_sigma=0.0,
        moved_px=1.0,
        light_limit=1.0,
        tiles=_fixed(grey, greys),
        grey=grey,
    )
    return Drawn(_with_limits(plain, [look_at(small, plain) for small in greys]), _changed(greys))


def _with_limits(plain: SceneReference, looks: Sequence[Look]) -> SceneReference:
    """Return a reference with what its own pictures varied by nature, and the limits that follow."""
    shifts = np.array([item.shift_px for item in looks if item.shift_px is not None])
    lights = np.array([item.light for item in looks if item.light is not None])
    shift_sigma_px = float(np.sqrt((shifts**2).mean())) if len(shifts) else 0.0
    light_sigma = float(lights.std(ddof=1)) if len(lights) > 1 else 0.0
    return replace(
        plain,
        shift_sigma_px=round(shift_sigma_px, 2),
        light_sigma=round(light_sigma, 4),
        moved_px=round(max(_LEAST_MOVE_PX * plain.scale, _SIGMAS * shift_sigma_px), 1),
        light_limit=round(max(_LEAST_LIGHT, _SIGMAS * light_sigma), 3),
    )


def _fixed(grey: NDArray[np.uint8], greys: Sequence[NDArray[np.uint8]]) -> tuple[tuple[int, int], ...]:
    """Return the corners of the fixed parts, () if they are too few or too near each other to tell a move."""
    height, width = grey.shape
    places = [(x, y) for y in range(0, height - TILE_PX + 1, _STEP) for x in range(0, width - TILE_PX + 1, _STEP)]
    marked = tuple(filter(partial(_is_marked, grey), places))
    if not marked:
        return ()
    found = [sought(small, grey, marked) for small in greys]
    scores = np.stack([score for _, score in found])  # (pictures, places)
    stays = (scores >= LEAST_SCORE) & np.stack([np.hypot(*shift.T) <= _FIXED_PX for shift, _ in found])
    is_fixed = stays.mean(0) >= _FIXED_SHARE
    worst = np.quantile(scores, 1.0 - _FIXED_SHARE, axis=0)
    chosen = list[tuple[int, int]]()
    for index in np.argsort(-worst):
        x, y = marked[index]
        if is_fixed[index] and len(chosen) < _MOST_TILES and all(max(abs(x - a), abs(y - b)) >= TILE_PX for a, b in chosen):
            chosen.append((x, y))
    spread = np.ptp(np.array(chosen), 0).max() if chosen else 0
    if len(chosen) < _LEAST_TILES or spread < _LEAST_SPREAD_PX:
        return ()
    return tuple(sorted(chosen))


def _is_marked(grey: NDArray[np.uint8], place: tuple[int, int]) -> bool:
    """Tell whether a part has texture, and none that is found around it a second time."""
    x, y = place
    part = grey[y : y + TILE_PX, x : x + TILE_PX]
    if float(part.std()) < _LEAST_CONTRAST:
        return False
    scores, row, column = correlation(grey, part, place, 2 * REACH_PX)
    scores[max(row - _OWN_PX, 0) : row + _OWN_PX + 1, max(column - _OWN_PX, 0) : column + _OWN_PX + 1] = -1.0
    return float(scores.max()) <= _NEXT_BEST


def _changed(greys: Sequence[NDArray[np.uint8]]) -> float:
    """Return the share of the scene's pixels that varied more than noise does."""
    return float(np.mean(np.stack(greys).std(0) > _NOISE))


def _percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    low, middle, high = (round(float(value), 1) for value in np.percentile(values, (5, 50, 95)))
    return low, middle, high
