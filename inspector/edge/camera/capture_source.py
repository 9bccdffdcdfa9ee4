"""CaptureSource: a ``cv2.VideoCapture`` as a source of shots. It tells fresh frames from buffered ones by how long it waited for each."""

import functools
import time

import cv2

from inspector.edge.camera.camera import Moment
from inspector.edge.camera.capture import Capture, to_rgb
from inspector.edge.camera.freshness import Freshness
from inspector.edge.camera.shot import Shot
from inspector.errors import CameraLost

_CURE = "check its power and its cable"


class CaptureSource:
    """Reads one opened capture."""

    def __init__(self, capture: Capture, name: str) -> None:
        """Take the capture over; ``name`` is what its faults begin with."""
        self._capture, self._name = capture, name
        self._freshness = Freshness(capture.get(cv2.CAP_PROP_FPS))

    def shoot(self) -> Shot:
        """Return the next frame, dated when it arrived. Raises ``CameraLost`` when the stream ends."""
        began_s = time.monotonic()
        try:
            ok, image = self._capture.read()
        except cv2.error as error:
            raise CameraLost(f"{self._name}: reading failed: {error.err}; {_CURE}") from error
        if not ok or image is None:
            raise CameraLost(f"{self._name}: the stream ended; {_CURE}")
        moment = Moment.now()
        is_live = self._freshness.is_live(time.monotonic() - began_s)
        return Shot(functools.partial(to_rgb, image), moment, is_live=is_live)

    def release(self) -> None:
        """Let the capture go."""
        self._capture.release()
