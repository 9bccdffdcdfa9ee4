"""Pictures made on the spot, and cameras opened from settings as a station opens them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from inspector.core.frame import Image
from inspector.edge.camera import Camera, open_camera
from inspector.settings import CameraSection


def picture(width: int = 64, height: int = 48, seed: int = 0) -> Image:
    """Return a smooth coloured picture, (height, width, 3) uint8 RGB."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.uint8)


def encoded(image: Any, suffix: str) -> bytes:
    """Return a picture, RGB or grey, as a file's bytes."""
    return cv2.imencode(suffix, image[..., ::-1] if image.ndim == 3 and image.shape[2] == 3 else image)[1].tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the pictures part1.png, part2.png and part10.png, each of its own width."""
    place = tmp_path / "frames"
    place.mkdir()
    for number in (10, 2, 1):
        (place / f"part{number}.png").write_bytes(encoded(picture(40 + number), ".png"))
    return place


Opener = Callable[..., Camera]


@pytest.fixture
def opened(tmp_path: Path) -> Any:
    """Return a function that opens a camera from the keys of its section; all are closed in the end."""
    cameras: list[Camera] = []

    def _open(capture: Any = cv2.VideoCapture, **keys: Any) -> Camera:
        camera = open_camera("cam", CameraSection(**keys), station="station", base=tmp_path, capture=capture)
        cameras.append(camera)
        return camera

    yield _open
    for camera in cameras:
        camera.close()
