"""What is used of ``cv2.VideoCapture``, so that others can stand in for it, and how it is opened for each kind of camera."""

import re
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.core.frame import Image
from inspector.edge.camera.decode import frozen
from inspector.errors import CameraError, CameraLost


class Capture(Protocol):
    """The part of ``cv2.VideoCapture`` that cameras use."""

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Return whether the source was opened; it stays true when the source is lost."""
        ...

    def read(self) -> tuple[bool, Any]:
        """Wait for a frame and return whether there is one, and the frame: (H, W, 3) uint8 BGR, (H, W) grey, or None."""
        ...

    def get(self, propId: int) -> float:  # noqa: N803 - OpenCV's name
        """Return a property."""
        ...

    def set(self, propId: int, value: float) -> bool:  # noqa: N803 - OpenCV's name
        """Ask for a property; return whether it was taken."""
        ...

    def release(self) -> None:
        """Let the source go."""
        ...


OpenCapture: TypeAlias = Callable[..., Capture]
"""``cv2.VideoCapture`` itself, or what stands in for it: called with source, backend and a list of parameters."""


def open_network(url: str, open_timeout_s: float, read_timeout_s: float, capture: OpenCapture = cv2.VideoCapture) -> Capture:
    """Open rtsp://, http:// or tcp://. Raises ``CameraLost`` if nobody answers.

    The timeouts are parameters of the constructor, because those that are set later do not hold for the opening. One thread decodes:
    FFmpeg holds back a frame for each further one, which would then come out, old, after a stall.
    """
    parameters = [
        *(cv2.CAP_PROP_N_THREADS, 1),
        *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(1000 * open_timeout_s)),
        *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(1000 * read_timeout_s)),
    ]
    opened = capture(url, cv2.CAP_FFMPEG, parameters)
    if not opened.isOpened():
        opened.release()
        raise CameraLost(
            f"{without_password(url)}: cannot be opened (waits up to {open_timeout_s:g} s); check cable, power, address, user and password"
        )
    return opened


def open_device(
    device: int | str, width_px: int | None, height_px: int | None, read_timeout_s: float, capture: OpenCapture = cv2.VideoCapture
) -> Capture:
    """Open a V4L2 device by number or path and ask it for a size. Raises ``CameraLost`` if it is not there, or busy."""
    opened = capture(device, cv2.CAP_V4L2, [])
    if not opened.isOpened():
        opened.release()
        name = device_name(device)
        raise CameraLost(f"{name}: cannot be opened; check the plug, that this user is in group video, and that nothing else uses it")
    # Not a parameter of the constructor: builds of OpenCV that do not know it for V4L2 would refuse to open. They wait 10 s instead.
    opened.set(cv2.CAP_PROP_READ_TIMEOUT_MSEC, 1000 * read_timeout_s)
    for key, wanted in ((cv2.CAP_PROP_FRAME_WIDTH, width_px), (cv2.CAP_PROP_FRAME_HEIGHT, height_px)):
        if wanted is not None:
            opened.set(key, wanted)
    return opened


def device_name(device: int | str) -> str:
    """Return the path of a device."""
    return f"/dev/video{device}" if isinstance(device, int) else device


def without_password(url: str) -> str:
    """Return an address that may be logged: without user and password, and without what its query says."""
    place, mark, query = re.sub(r"(?<=//)[^/?]*@", "***@", url).partition("?")
    return place + mark + re.sub(r"=[^&]*", "=***", query)


def to_rgb(image: NDArray[Any]) -> Image:
    """Return a captured frame, BGR, BGRA or grey, as (H, W, 3) uint8 RGB, read-only. Raises ``CameraError`` if it is none of them."""
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    channels = 1 if image.ndim == 2 else image.shape[2]
    codes = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}
    if image.dtype != np.uint8 or channels not in codes or not image.size:
        raise CameraError(
            f"the camera gives {image.shape} {image.dtype}, expected a picture of 1, 3 or 4 channels; choose another pixel format"
        )
    return frozen(np.asarray(cv2.cvtColor(image, codes[channels]), np.uint8))
