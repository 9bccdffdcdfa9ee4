"""The gain map of a flat field beside camera.toml: (H, W) in steps of 1/8192, lossless, its content's hash in its name.

A new map has a new name, so camera.toml points at the old map or the new one, never at half a file.
"""

import hashlib
import io
import os
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inspector.errors import CalibrationError

LARGEST_GAIN = 4.0
"""A gain lies between its inverse and this; more would show the sensor's noise, not the part."""
_STEPS = 8192


def read_gain(path: Path) -> NDArray[np.float32]:
    """Return a gain map, (H, W) float32, read-only. Raises ``CalibrationError`` that names the file."""
    cure = "measure it again with inspector calibrate camera --white, or remove flat_field from camera.toml"
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as content:
            steps = content["gain"]
    except FileNotFoundError as error:
        raise CalibrationError(f"{path}: the gain map that camera.toml names is missing; {cure}") from error
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise CalibrationError(f"{path}: is no gain map; {cure}") from error
    if not isinstance(steps, np.ndarray) or steps.ndim != 2 or steps.dtype != np.uint16:
        raise CalibrationError(f"{path}: a gain map has two axes of 16-bit numbers; {cure}")
    gain = steps.astype(np.float32) / np.float32(_STEPS)
    if not gain.size or gain.min() < 1 / LARGEST_GAIN - 1e-3 or gain.max() > LARGEST_GAIN + 1e-3:
        raise CalibrationError(f"{path}: a gain lies outside 1/{LARGEST_GAIN:g} to {LARGEST_GAIN:g}; {cure}")
    gain.setflags(write=False)
    return gain


def write_gain(folder: Path, camera: str, gain: NDArray[np.float32]) -> str:
    """Write an (H, W) gain map into a station's folder; return the file's name. Raises ``CalibrationError``."""
    steps = np.rint(gain * _STEPS).astype(np.uint16)
    name = f"flat-{camera}-{hashlib.sha256(repr(steps.shape).encode() + steps.tobytes()).hexdigest()[:12]}.npz"
    memory = io.BytesIO()
    np.savez_compressed(memory, gain=steps)
    fresh = folder / f".{name}.new"
    try:
        with fresh.open("wb") as file:
            file.write(memory.getvalue())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / name)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise CalibrationError(f"{folder / name}: cannot be written ({error.strerror}); check the folder's owner and the disk") from error
    return name
