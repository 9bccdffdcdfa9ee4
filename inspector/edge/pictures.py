"""Kept pictures: the frames that somebody may want to see again, as JPEG beside the log, and their heat maps beside them."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.core.frame import Frame, Image
from inspector.core.inspection import Inspection
from inspector.edge.extras.overlay import jpeg_within, overlay
from inspector.edge.heat_map import label_heat, unlike_heat
from inspector.errors import LogError
from inspector.settings import LogSection

_QUALITY = 92
_HEAT_MAPS = ("-unlike", "-label")
"""Ends of the names of a picture's heat maps."""
_HEAT_PX = 800
"""Longest side of a heat map: it is coarse, and drawing it must cost the frame loop little."""
_HEAT_BYTES = 1_000_000
NO_MAPS: Mapping[str, NDArray[np.float32]] = MappingProxyType({})


class PictureStore:
    """Keeps pictures below ``<folder>/images/<day>/``."""

    def __init__(self, folder: Path, rules: LogSection) -> None:
        """Remember where to write and what to keep."""
        self._folder, self._rules = folder, rules

    def wants(self, inspection: Inspection, frame: Frame) -> bool:
        """Return True if the rules say that this picture is kept."""
        kept = {"none": (), "fail": ("fail",), "review": ("fail", "review"), "all": ("pass", "fail", "review")}[self._rules.keep_images]
        return inspection.verdict.disposition in kept and frame.image.size > 0

    def wants_label_map(self, inspection: Inspection) -> bool:
        """Return True if the rules say that beside this kept picture lies a map of what spoke for its label."""
        return self._rules.keep_heat_maps == "all" and bool(inspection.verdict.findings)

    def keep(self, inspection: Inspection, frame: Frame, label_nats: Mapping[str, NDArray[np.float32]] = NO_MAPS) -> str:
        """Write a picture and its heat maps; return the picture's path relative to the folder. Raises ``LogError`` if the disk refuses it.

        ``label_nats`` holds, by region, (g, g) nats by which each place spoke for the label.
        """
        path = Path("images") / f"{inspection.captured_at:%Y-%m-%d}" / f"{inspection.inspection_id}.jpg"
        target = self._folder / path
        files = {target: _jpeg(frame.image, target)} | dict(self._heat_maps(inspection, frame.image, label_nats, target))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            for file, data in files.items():
                file.write_bytes(data)
        except OSError as error:
            for file in files:
                with suppress(OSError):
                    file.unlink(missing_ok=True)  # half a picture takes space that the disk may lack, and no row would name it
            raise LogError(f"{target}: the picture cannot be kept: {error}; free space or set log.keep_images to none") from error
        return str(path)

    def _heat_maps(
        self, inspection: Inspection, image: Image, label_nats: Mapping[str, NDArray[np.float32]], target: Path
    ) -> Iterator[tuple[Path, bytes]]:
        """Yield (file, JPEG) of each heat map of a part that did not pass."""
        if self._rules.keep_heat_maps == "none" or not inspection.verdict.findings:
            return
        boxes = {finding.region: finding.box_px for finding in inspection.verdict.findings}
        heats = (unlike_heat(inspection, boxes), label_heat(label_nats, inspection, boxes))
        for file, heat in zip(heat_maps_of(target), heats, strict=True):
            data = None if heat is None else jpeg_within(overlay(image, inspection, longest_px=_HEAT_PX, heat=heat), _HEAT_BYTES)
            if data is not None:
                yield file, data


def heat_maps_of(picture: Path) -> tuple[Path, ...]:
    """Return where a kept picture's heat maps lie, if there are any: places unlike good parts, places that spoke for the label."""
    return tuple(picture.with_name(f"{picture.stem}{end}.jpg") for end in _HEAT_MAPS)


def _jpeg(image: Image, target: Path) -> bytes:
    """Return a picture as JPEG. Raises ``LogError`` if it cannot be one: the format ends at 65500 pixels a side."""
    try:
        ok, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    except cv2.error:
        ok = False
    if not ok:
        raise LogError(f"{target}: a picture of {image.shape[1]} x {image.shape[0]} pixels cannot be encoded as JPEG")
    return data.tobytes()
