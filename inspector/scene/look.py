"""One look at the scene: how far its fixed parts have shifted against the reference, and how bright they are. Pure.

Each fixed part, a square of 32 reference pixels, is sought around its place by normalised cross-correlation, which does not care about
brightness; a similarity transform is then fitted through those that were found, by RANSAC. Parts behind a hand or a workpiece are not
found, or are outvoted, and do not matter. Where too few are found near their places, phase correlation of the whole picture (Hanning
window) says where to look; alone it would not do, because it does not see a rotation.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.core.frame import Image
from inspector.core.scene import LONGEST_PX, TILE_PX, Look, SceneReference

REACH_PX = 10
"""How far a fixed part is sought around its place, reference pixels to each side."""
LEAST_SCORE = 0.7
"""Correlation, 0..1, from which on a part counts as found."""
_LEAST_RESPONSE = 0.1
"""Response of the phase correlation, 0..1, from which on its word is tried."""
_LEAST_TILES = 3
_LEAST_SHARE = 0.4
"""Share of the fixed parts that must agree: the others may be covered."""
_AGREE_PX = 1.0
_LARGEST_TURN_DEG, _LARGEST_ZOOM = 15.0, 1.15


def shrunk(image: Image) -> NDArray[np.uint8]:
    """Return the luminance of an (H, W, 3) uint8 RGB picture at reference size: (h, w) uint8, at most 320 a side, never enlarged."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    scale = min(LONGEST_PX / max(grey.shape), 1.0)
    target = max(round(grey.shape[1] * scale), 1), max(round(grey.shape[0] * scale), 1)
    return np.asarray(cv2.resize(grey, target, interpolation=cv2.INTER_AREA) if scale < 1.0 else grey, np.uint8)


def look(image: Image, reference: SceneReference) -> Look:
    """Compare an (H, W, 3) uint8 RGB picture, as the camera delivered it, with the reference."""
    size = image.shape[1], image.shape[0]
    if size != reference.size_px:
        found, expected = (f"{width} x {height}" for width, height in (size, reference.size_px))
        return Look(trouble=f"the picture has {found} pixels, the reference was taken at {expected}")
    return look_at(shrunk(image), reference)


def look_at(grey: NDArray[np.uint8], reference: SceneReference) -> Look:
    """Compare a picture of reference size, (h, w) uint8, with the reference."""
    if not reference.tiles:
        return Look(light=_light(grey, reference.grey, [(0, 0, grey.shape[1], grey.shape[0])], (0, 0)))
    seen = _seen(grey, reference, (0, 0))
    if isinstance(seen, int) and (guess := _guess(grey, reference.grey)) is not None:
        seen = _seen(grey, reference, guess)
    return Look(trouble=f"{seen} of its {len(reference.tiles)} fixed parts were found") if isinstance(seen, int) else seen


def sought(
    grey: NDArray[np.uint8], scene: NDArray[np.uint8], tiles: Sequence[tuple[int, int]], around: tuple[int, int] = (0, 0)
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where parts of a scene lie in a picture of its size: (n, 2) shifts, reference pixels, and (n,) scores, -1..1.

    They are sought around their places shifted by ``around`` (right, down).
    """
    found = [_found(grey, scene[y : y + TILE_PX, x : x + TILE_PX], (x, y), around) for x, y in tiles]
    return np.array([shift for shift, _ in found]).reshape(-1, 2), np.array([score for _, score in found])


def correlation(
    grey: NDArray[np.uint8], part: NDArray[np.uint8], place: tuple[int, int], reach_px: int
) -> tuple[NDArray[np.float32], int, int]:
    """Return a part's correlation, (rows, columns), with all places around (x, y), and the row and column that stand for no shift.

    The rows and columns are none where the surroundings lie outside the picture.
    """
    x, y = place
    left, top = max(x - reach_px, 0), max(y - reach_px, 0)
    window = grey[top : max(y + TILE_PX + reach_px, 0), left : max(x + TILE_PX + reach_px, 0)]
    if min(window.shape) < TILE_PX:
        return np.zeros((0, 0), np.float32), 0, 0
    scores = np.asarray(cv2.matchTemplate(window, part, cv2.TM_CCOEFF_NORMED), np.float32)
    return np.nan_to_num(scores, nan=-1.0, posinf=-1.0, neginf=-1.0), y - top, x - left


def _seen(grey: NDArray[np.uint8], reference: SceneReference, around: tuple[int, int]) -> Look | int:
    """Return what the fixed parts around their shifted places say, or how many were found if they are too few to agree."""
    corners = np.array(reference.tiles, np.float64)
    shifts, scores = sought(grey, reference.grey, reference.tiles, around)
    is_found = scores >= LEAST_SCORE
    fit = _fitted(corners[is_found] + TILE_PX / 2, shifts[is_found], len(corners))
    if fit is None:
        return int(is_found.sum())
    transform, agree = fit
    moves = (corners + TILE_PX / 2) @ (transform[:, :2] - np.eye(2)).T + transform[:, 2]  # (n, 2) reference pixels
    boxes = [(int(x), int(y), TILE_PX, TILE_PX) for x, y in corners[is_found][agree]]
    right, down = np.median(shifts[is_found][agree], 0)
    return Look(
        shift_px=float(np.sqrt((moves**2).sum(1).mean())) * reference.scale,
        turn_deg=math.degrees(math.atan2(transform[1, 0], transform[0, 0])),
        light=_light(grey, reference.grey, boxes, (round(right), round(down))),
    )


def _guess(grey: NDArray[np.uint8], scene: NDArray[np.uint8]) -> tuple[int, int] | None:
    """Return the shift (right, down) of the whole picture by phase correlation, None if there is no telling."""
    window = cv2.createHanningWindow((scene.shape[1], scene.shape[0]), cv2.CV_32F)
    (right, down), response = cv2.phaseCorrelate(scene.astype(np.float32), grey.astype(np.float32), window)
    return (round(right), round(down)) if response >= _LEAST_RESPONSE else None


def _found(
    grey: NDArray[np.uint8], part: NDArray[np.uint8], place: tuple[int, int], around: tuple[int, int]
) -> tuple[tuple[float, float], float]:
    """Return the best shift (right, down) of a part, to a fraction of a pixel, and its score."""
    scores, row, column = correlation(grey, part, (place[0] + around[0], place[1] + around[1]), REACH_PX)
    if not scores.size:
        return (0.0, 0.0), -1.0
    _, score, _, (best_x, best_y) = cv2.minMaxLoc(scores)
    across, down = _peak(scores[best_y], best_x), _peak(scores[:, best_x], best_y)
    return (around[0] + best_x - column + across, around[1] + best_y - row + down), float(min(score, 1.0))


def _peak(line: NDArray[np.float32], at: int) -> float:
    """Return by how much the top of a parabola through a peak and its neighbours lies beside it, -0.5..0.5."""
    if not 0 < at < len(line) - 1:
        return 0.0
    before, top, after = (float(value) for value in line[at - 1 : at + 2])
    bend = before - 2.0 * top + after
    return 0.0 if bend >= 0.0 else 0.5 * (before - after) / bend


def _fitted(centres: NDArray[np.float64], shifts: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | None:
    """Return the 2x3 similarity transform that enough parts of ``count`` agree on, and which they are; None if there is none."""
    least = max(_LEAST_TILES, math.ceil(_LEAST_SHARE * count))
    if len(centres) < least:
        return None
    transform, inliers = cv2.estimateAffinePartial2D(centres, centres + shifts, method=cv2.RANSAC, ransacReprojThreshold=_AGREE_PX)
    if transform is None or int(inliers.sum()) < least:
        return None
    zoom, turn_deg = math.hypot(transform[0, 0], transform[1, 0]), math.degrees(math.atan2(transform[1, 0], transform[0, 0]))
    if not 1 / _LARGEST_ZOOM <= zoom <= _LARGEST_ZOOM or abs(turn_deg) > _LARGEST_TURN_DEG:
        return None
    return np.asarray(transform, np.float64), np.ravel(inliers).astype(bool)


def _light(grey: NDArray[np.uint8], scene: NDArray[np.uint8], boxes: Sequence[tuple[int, int, int, int]], shift: tuple[int, int]) -> float:
    """Return the mean brightness of boxes (x, y, w, h) in the picture, shifted (right, down), over that in the scene."""
    right, down = shift
    now = [grey[max(y + down, 0) : y + down + h, max(x + right, 0) : x + right + w] for x, y, w, h in boxes]
    then = [scene[y : y + h, x : x + w] for x, y, w, h in boxes]
    return float(np.mean([part.mean() for part in now])) / max(float(np.mean([part.mean() for part in then])), 1.0)
