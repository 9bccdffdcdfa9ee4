"""The picture of a scene's reference beside camera.toml: (h, w) uint8 grey as PNG, its content's hash in its name, as with a flat field."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inspector.core.scene import LONGEST_PX, TILE_PX, SceneReference
from inspector.errors import CalibrationError

_CURE = "take it again with inspector calibrate reference, or remove the lines reference.* from camera.toml"


def read_scene(folder: Path, reference: SceneReference) -> NDArray[np.uint8]:
    """Return the picture that a reference names, (h, w) uint8, read-only. Raises ``CalibrationError`` that names the file."""
    import cv2  # noqa: PLC0415 - stations without a reference, and --help, do without

    path = folder / reference.picture
    try:
        grey = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    except FileNotFoundError as error:
        raise CalibrationError(f"{path}: the reference that camera.toml names is missing; {_CURE}") from error
    except (OSError, cv2.error) as error:
        raise CalibrationError(f"{path}: cannot be read as a picture; {_CURE}") from error
    if grey is None:
        raise CalibrationError(f"{path}: is no picture; {_CURE}")
    height, width = grey.shape
    scale = min(LONGEST_PX / max(reference.size_px), 1.0)
    if (width, height) != tuple(max(round(side * scale), 1) for side in reference.size_px):
        raise CalibrationError(f"{path}: {width} x {height} pixels do not go with reference.size_px = {list(reference.size_px)}; {_CURE}")
    if any(not (0 <= x <= width - TILE_PX and 0 <= y <= height - TILE_PX) for x, y in reference.tiles):
        raise CalibrationError(f"{path}: reference.tiles leave its {width} x {height} pixels; {_CURE}")
    scene = np.asarray(grey, np.uint8)
    scene.setflags(write=False)
    return scene


def write_scene(folder: Path, camera: str, grey: NDArray[np.uint8]) -> str:
    """Write an (h, w) uint8 picture into a station's folder; return the file's name. Raises ``CalibrationError``."""
    import cv2  # noqa: PLC0415 - as above

    data = cv2.imencode(".png", grey)[1].tobytes()
    name = f"reference-{camera}-{hashlib.sha256(data).hexdigest()[:12]}.png"
    fresh = folder / f".{name}.new"
    try:
        fresh.write_bytes(data)
        fresh.replace(folder / name)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise CalibrationError(f"{folder / name}: cannot be written ({error.strerror}); check the folder's owner and the disk") from error
    return name
