"""Heat maps: where a frame is unlike good parts, and which places spoke for its label, as a tint over the picture.

A map is (h, w) float32 from 0 (as the picture is) to 1 (full colour), of the whole frame and much coarser than it.
"""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.core.inspection import Inspection

Boxes = Mapping[str, tuple[int, int, int, int] | None]
"""(x, y, width, height) in pixels of the frame by region; None: the whole frame."""
_LONGEST = 256
"""Longest side of a map."""
_COOL, _HOT = 0.8, 1.3
"""Patch scores, in units of the limit, where the tint begins and where it is full: a fixed scale, so that good parts stay clear."""
_LEAST_NATS = 0.2
"""A label map whose peak is smaller is not blown up to full colour: so little decides nothing."""
_STRONGEST = 0.65
"""Share of the colour where the tint is full."""


def unlike_heat(inspection: Inspection, boxes: Boxes) -> NDArray[np.float32] | None:
    """Return the map of places unlike good parts, None where no normality was measured."""
    scores = {
        p.region: np.clip((p.normality.patches / p.normality.limit - _COOL) / (_HOT - _COOL), 0.0, 1.0)
        for p in inspection.predictions
        if p.normality is not None and p.normality.patches is not None
    }
    return _whole(scores, boxes, inspection)


def label_heat(nats: Mapping[str, NDArray[np.float32]], inspection: Inspection, boxes: Boxes) -> NDArray[np.float32] | None:
    """Return the map of places that spoke for the labels, from each region's (g, g) nats; None where there are none."""
    peak = max((float(found.max()) for found in nats.values()), default=0.0)
    return _whole({region: np.clip(found / max(peak, _LEAST_NATS), 0.0, 1.0) for region, found in nats.items()}, boxes, inspection)


def tinted(picture: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return an (H, W, 3) uint8 BGR picture with a map over it, from clear through yellow to red."""
    size = (picture.shape[1], picture.shape[0])
    share = cv2.resize(heat, size, interpolation=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap((140 + 100 * share).astype(np.uint8), cv2.COLORMAP_TURBO)
    weight = (_STRONGEST * np.sqrt(share))[:, :, None]
    return np.asarray(picture * (1.0 - weight) + colours * weight, np.uint8)


def _whole(maps: Mapping[str, NDArray[np.floating]], boxes: Boxes, inspection: Inspection) -> NDArray[np.float32] | None:
    """Return the regions' maps in their places on a coarse picture of the frame, interpolated and smoothed over half a patch."""
    shown = {region: found for region, found in maps.items() if region in boxes}
    if not shown or not inspection.width_px:
        return None
    scale = _LONGEST / max(inspection.width_px, inspection.height_px)
    width, height = max(1, round(scale * inspection.width_px)), max(1, round(scale * inspection.height_px))
    whole = np.zeros((height, width), np.float32)
    for region, found in shown.items():
        x, y, w, h = boxes[region] or (0, 0, inspection.width_px, inspection.height_px)
        left, top = round(scale * x), round(scale * y)
        right, bottom = min(max(round(scale * (x + w)), left + 1), width), min(max(round(scale * (y + h)), top + 1), height)
        if left >= right or top >= bottom:
            continue
        fine = cv2.resize(found.astype(np.float32), (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        sigma = 0.5 * max(right - left, bottom - top) / max(found.shape)
        smooth = cv2.GaussianBlur(fine, (0, 0), sigma)
        whole[top:bottom, left:right] = np.maximum(whole[top:bottom, left:right], smooth)
    return whole
