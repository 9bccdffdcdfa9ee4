"""Kept pictures: the frames that somebody may want to see again, as JPEG beside the log."""

from contextlib import suppress
from pathlib import Path

import cv2

from inspector.core.frame import Frame, Image
from inspector.core.inspection import Inspection
from inspector.errors import LogError
from inspector.settings import LogSection

_QUALITY = 92


class PictureStore:
    """Keeps pictures below ``<folder>/images/<day>/``."""

    def __init__(self, folder: Path, rules: LogSection) -> None:
        """Remember where to write and what to keep."""
        self._folder, self._rules = folder, rules

    def wants(self, inspection: Inspection, frame: Frame) -> bool:
        """Return True if the rules say that this picture is kept."""
        kept = {"none": (), "fail": ("fail",), "review": ("fail", "review"), "all": ("pass", "fail", "review")}[self._rules.keep_images]
        return inspection.verdict.disposition in kept and frame.image.size > 0

    def keep(self, inspection: Inspection, frame: Frame) -> str:
        """Write a picture; return its path relative to the folder. Raises ``LogError`` if the disk refuses it."""
        path = Path("images") / f"{inspection.captured_at:%Y-%m-%d}" / f"{inspection.inspection_id}.jpg"
        target = self._folder / path
        data = _jpeg(frame.image, target)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        except OSError as error:
            with suppress(OSError):
                target.unlink(missing_ok=True)  # half a picture takes space that the disk may lack, and no row would name it
            raise LogError(f"{target}: the picture cannot be kept: {error}; free space or set log.keep_images to none") from error
        return str(path)


def _jpeg(image: Image, target: Path) -> bytes:
    """Return a picture as JPEG. Raises ``LogError`` if it cannot be one: the format ends at 65500 pixels a side."""
    try:
        ok, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    except cv2.error:
        ok = False
    if not ok:
        raise LogError(f"{target}: a picture of {image.shape[1]} x {image.shape[0]} pixels cannot be encoded as JPEG")
    return data.tobytes()
