"""Pictures for a bench: those of the station's first folder camera, at the size that is asked for, through a real folder camera."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from inspector.core.frame import Frame
from inspector.edge.camera import Camera, Origin, open_camera
from inspector.edge.camera.folder import FolderCamera
from inspector.edge.camera.manifest import Entry
from inspector.errors import CameraError
from inspector.settings import StationSettings

_MOST = 60
"""Pictures that are written for a bench, evenly taken from all."""
_JPEG_QUALITY = 90


def read_frames(settings: StationSettings) -> list[Frame]:
    """Return the frames of the station's first folder camera that have a picture. Raises ``CameraError`` if there are none."""
    name, section = next(((n, s) for n, s in settings.cameras.items() if s.kind == "folder"), (None, None))
    if name is None or section is None:
        raise CameraError(f"station {settings.name} has no folder camera; the bench needs pictures: give a station that replays a folder")
    quick = section.model_copy(update={"rate_hz": 0.0, "loop": False, "watch": False})
    camera, frames = (
        open_camera(name, quick, station=settings.name, base=settings.folder, max_pixels=settings.quality.max_pixels),
        list[Frame](),
    )
    while not camera.finished:
        frame = camera.read(1.0)
        if frame is not None and not frame.fault:
            frames.append(frame)
    camera.close()
    if not frames:
        raise CameraError(f"cameras.{name}: no picture could be read; put some into {settings.folder / (section.path or '')}")
    return frames


def resized(frame: Frame, size_px: tuple[int, int] | None) -> Frame:
    """Return the frame with its picture brought to (width, height), as if the camera had delivered that."""
    if size_px is None:
        return frame
    return replace(frame, image=np.asarray(cv2.resize(frame.image, size_px, interpolation=cv2.INTER_LINEAR), np.uint8))


def write_pictures(frames: list[Frame], folder: Path, size_px: tuple[int, int] | None) -> list[Entry]:
    """Write pictures of (width, height) as JPEG; None takes the files as they are. Lots stay, dates do not: a line judges what is new."""
    entries = []
    for place in np.linspace(0, len(frames) - 1, min(_MOST, len(frames))).astype(int):
        frame = frames[place]
        path = Path(frame.source or "")
        if size_px is not None:
            path = folder / f"{place:04d}.jpg"
            image = cv2.cvtColor(resized(frame, size_px).image, cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        entries.append(Entry(path, frame.frame_id, frame.product, frame.lot, frame.part_id))
    return entries


def open_replay(settings: StationSettings, camera: str, folder: Path, entries: list[Entry], rate_hz: float) -> Camera:
    """Return a folder camera that replays the entries for ever, ``rate_hz`` frames a second, 0: without a pause."""
    pixels = settings.quality.max_pixels
    return FolderCamera(Origin(settings.name, camera), folder, entries, rate_hz=rate_hz, loop=True, max_pixels=pixels)
