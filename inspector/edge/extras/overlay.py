"""The picture that people look at: a frame with its verdict drawn in, as a JPEG of limited length."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.core.frame import Image
from inspector.core.inspection import Inspection
from inspector.edge.heat_map import tinted

_COLOURS = {"pass": (60, 170, 60), "fail": (40, 40, 220), "review": (0, 165, 255)}  # BGR
_LONGEST_PX = 1600
"""No screen shows more."""
_QUALITY = 85
_TRIES = 6


def overlay(
    image: Image, inspection: Inspection, *, longest_px: int = _LONGEST_PX, heat: NDArray[np.float32] | None = None, caption: str = ""
) -> NDArray[np.uint8]:
    """Return a copy of a frame, (h, w, 3) uint8 BGR, with regions and verdict drawn in; with a heat map over it if one is given."""
    height, width = image.shape[:2]
    scale = min(1.0, longest_px / max(height, width))
    drawn = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), np.uint8)
    if scale < 1.0:
        drawn = _resized(drawn, scale)
    if heat is not None:
        drawn = tinted(drawn, heat)
    height, width = drawn.shape[:2]
    size = max(11, min(height, width) // 24)
    for finding in inspection.verdict.findings:
        x, y, w, h = finding.box_px or (0, 0, round(width / scale), round(height / scale))
        corner, far = (round(x * scale), round(y * scale)), (round((x + w) * scale) - 1, round((y + h) * scale) - 1)
        cv2.rectangle(drawn, corner, far, _COLOURS[finding.disposition], max(1, size // 8))
        _write(drawn, f"{finding.label} {finding.confidence:.2f}", (corner[0] + size // 4, far[1] - size // 3), size, finding.disposition)
    return _with_heading(drawn, [*_heading(inspection), *filter(None, [caption])], size, inspection.verdict.disposition)


def jpeg_within(picture: NDArray[np.uint8], longest_bytes: int) -> bytes | None:
    """Return a picture as JPEG no longer than asked, smaller than given if it must be; None if it cannot be done."""
    for _ in range(_TRIES):
        try:
            ok, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        except cv2.error:
            return None
        if not ok:
            return None
        if data.size <= longest_bytes:
            return data.tobytes()
        # Length goes about with the area; a little less, so that one more try is enough.
        scale = 0.95 * float(np.sqrt(longest_bytes / data.size))
        if min(picture.shape[:2]) * scale < 8:
            return None
        picture = _resized(picture, scale)
    return None


def _heading(inspection: Inspection) -> Sequence[str]:
    """Return what stands above the picture."""
    verdict, share = inspection.verdict, inspection.confidence
    sure = f" {inspection.label} {share:.2f}" if inspection.label is not None and share is not None else ""
    part = " ".join(filter(None, (inspection.product, inspection.lot, inspection.part_id or inspection.frame_id)))
    when = inspection.captured_at.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")
    reason = [verdict.reason] if verdict.fault else []
    return [
        f"{verdict.disposition.upper()}{sure}",
        f"{inspection.station}/{inspection.camera} #{inspection.seq or '-'} {part} {when}",
        *reason,
    ]


def _with_heading(picture: NDArray[np.uint8], lines: Sequence[str], size: int, disposition: str) -> NDArray[np.uint8]:
    """Return the picture with a bar above it that bears the lines; the picture itself stays whole."""
    high = round(1.5 * size)
    bar = np.full((high * len(lines) + size // 3, picture.shape[1], 3), 30, np.uint8)
    bar[:, : max(3, size // 3)] = _COLOURS[disposition]
    for number, line in enumerate(lines):
        face = size if number == 0 else round(0.7 * size)
        _write(bar, line, (size, high * (number + 1) - size // 3), face, disposition if number == 0 else "")
    return np.vstack((bar, picture))


def _write(picture: NDArray[np.uint8], text: str, at: tuple[int, int], size: int, disposition: str) -> None:
    """Write a line in a font that knows Chinese, light on a dark seam."""
    face = cv2.FontFace("uni")
    cv2.putText(picture, text, (at[0] + 1, at[1] + 1), (0, 0, 0), face, size, 600)
    cv2.putText(picture, text, at, _COLOURS.get(disposition, (235, 235, 235)), face, size, 600)


def _resized(picture: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, target, interpolation=cv2.INTER_AREA), np.uint8)
