"""VideoCamera: the frames of a video file, paced by our own clock, because OpenCV reads files as fast as it can.

The end is known by a read that fails: ``isOpened`` stays true there. A file that ends before its own frame count is damaged and gives
one frame with a fault, so that missing parts do not pass in silence.
"""

import threading
from pathlib import Path

import cv2

from inspector.core.frame import Frame
from inspector.edge.camera.camera import Moment, Origin, Pace
from inspector.edge.camera.capture import Capture, to_rgb
from inspector.errors import CameraError, CameraLost

_TOLERATED_SHARE = 0.02
"""Containers without an index only estimate their frame count; so much less is not taken for damage."""


class VideoCamera:
    """Replays a video file."""

    def __init__(self, origin: Origin, path: Path, *, rate_hz: float = 0.0, loop: bool = False) -> None:
        """Open the file; ``rate_hz`` 0 means as fast as it is read. Raises ``CameraError`` if it is not there or no video."""
        self.name, self.origin, self.every_frame_counts = origin.camera, origin, origin.every_frame_counts
        self.finished, self.dropped = False, 0
        self._path, self._loop, self._pace, self._index = path, loop, Pace(rate_hz), 0
        self._closed = threading.Event()
        self._capture: Capture | None = None
        first = _opened(path)
        decodes, _ = first.read()
        first.release()
        if not decodes:
            raise CameraError(_unreadable(path))

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame of the video, or None if it is not due within the time. See ``Camera.read``."""
        self._closed.wait(min(max(self._pace.due_in_s(), 0.0), timeout_s))
        if self.finished or self._closed.is_set() or self._pace.due_in_s() > 0.0:
            return None
        frame = self._next()
        if frame is not None:
            self._pace.passed()
        return frame

    def close(self) -> None:
        """End a read that waits. The file itself is let go with the camera: another thread may be reading it."""
        self._closed.set()

    def _next(self) -> Frame | None:
        """Decode a frame; at the end begin again, or finish."""
        if self._capture is None:
            self._capture, self._index = _opened(self._path), 0
        moment = Moment.now()
        ok, image = self._capture.read()
        if ok and image is not None:
            self._index += 1
            return self.origin.frame(f"{self._index:06d}", to_rgb(image), moment, str(self._path))
        return self._ended(self._capture, moment)

    def _ended(self, capture: Capture, moment: Moment) -> Frame | None:
        """Close the file after its last frame; return a fault if frames are missing."""
        announced = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
        read, self._capture = self._index, None
        if read == 0:
            raise CameraError(_unreadable(self._path))
        self.finished = not self._loop
        if announced - read > max(1.0, _TOLERATED_SHARE * announced):
            reason = f"{self._path}: the video is damaged or truncated: it ends after {read} of {announced} frames; copy it again"
            return self.origin.fault(f"{read + 1:06d}", reason, moment, str(self._path))
        return None if self.finished else self._next()


def _unreadable(path: Path) -> str:
    return f"{path}: no frame of this video can be decoded; copy it again, or convert it to H.264 or MJPEG"


def _opened(path: Path) -> Capture:
    if not path.is_file():
        raise CameraLost(f"{path}: there is no such file; correct path in station.toml")
    # The backend is named because the default one would take a name with digits for a pattern of pictures.
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise CameraError(f"{path}: not a video that FFmpeg can open; convert it to H.264 or MJPEG")
    return capture
