"""A snapshot: the newest judged frame of a camera with its verdict drawn in, as a JPEG for the broker and as a file beside the log."""

import os
from dataclasses import dataclass
from pathlib import Path

from inspector.edge.extras.overlay import jpeg_within, overlay
from inspector.edge.newest import Shown


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What became of a snapshot."""

    jpeg: bytes | None
    """The picture, or None if it cannot be drawn."""
    path: str | None
    """Where it lies, or None if it could not be written."""
    fault: str = ""
    """What went wrong, empty if nothing did."""


def take_snapshot(shown: Shown, folder: Path, longest_bytes: int) -> Snapshot:
    """Draw and keep a snapshot. There is one file a camera, replaced each time, so that snapshots never fill the disk."""
    jpeg = jpeg_within(overlay(shown.frame.image, shown.inspection), longest_bytes)
    if jpeg is None:
        height, width = shown.frame.image.shape[:2]
        return Snapshot(None, None, f"a picture of {width} x {height} pixels cannot be made a JPEG of at most {longest_bytes} bytes")
    target = folder / "snapshots" / f"{shown.frame.camera}.jpg"
    fresh = target.with_suffix(".new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(jpeg)
        os.replace(fresh, target)  # noqa: PTH105 - a reader sees the old picture or the new one, never half of it
    except OSError as error:
        return Snapshot(jpeg, None, f"{target}: cannot be written: {error.strerror}")
    return Snapshot(jpeg, str(target))
