"""The gain map of a flat field beside camera.toml: (H, W) in steps of 1/8192, lossless, its content's hash in its name."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inspector.errors import CalibrationError
from inspector.settings.hashed_npz import read_arrays, write_arrays

LARGEST_GAIN = 4.0
"""A gain lies between its inverse and this; more would show the sensor's noise, not the part."""
_STEPS = 8192


def read_gain(path: Path) -> NDArray[np.float32]:
    """Return a gain map, (H, W) float32, read-only. Raises ``CalibrationError`` that names the file."""
    cure = "measure it again with inspector calibrate camera --white, or remove flat_field from camera.toml"
    (steps,) = read_arrays(path, ["gain"], "gain map", "camera.toml", cure)
    if steps.ndim != 2 or steps.dtype != np.uint16:
        raise CalibrationError(f"{path}: a gain map has two axes of 16-bit numbers; {cure}")
    gain = steps.astype(np.float32) / np.float32(_STEPS)
    if not gain.size or gain.min() < 1 / LARGEST_GAIN - 1e-3 or gain.max() > LARGEST_GAIN + 1e-3:
        raise CalibrationError(f"{path}: a gain lies outside 1/{LARGEST_GAIN:g} to {LARGEST_GAIN:g}; {cure}")
    gain.setflags(write=False)
    return gain


def write_gain(folder: Path, camera: str, gain: NDArray[np.float32]) -> str:
    """Write an (H, W) gain map into a station's folder; return the file's name. Raises ``CalibrationError``."""
    return write_arrays(folder, f"flat-{camera}", gain=np.rint(gain * _STEPS).astype(np.uint16))
