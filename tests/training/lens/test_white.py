"""A flat field evens out a known vignette; pictures that cannot give one are refused."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from inspector.core.calibration import CameraCalibration
from inspector.core.frame import Frame, Image
from inspector.errors import CalibrationError
from inspector.preprocess import correct
from inspector.settings import read_camera_calibrations
from inspector.settings.camera_file import write_camera
from inspector.settings.flat_field import read_gain, write_gain
from inspector.training.lens.white import gain_of, unfit_white

SIZE = (160, 120)


def shaded(level: float, noise: int = 0) -> Image:
    """A grey surface under a vignette that takes 40 % of the light in the corners."""
    row, column = np.mgrid[:120, :160]
    fall = 1.0 - 0.4 * (((row - 60) / 60) ** 2 + ((column - 80) / 80) ** 2) / 2
    light = level * fall[..., None] + np.random.default_rng(noise).normal(0.0, 0.7, (120, 160, 3))
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def framed(image: Image) -> Frame:
    return Frame("station", "cam", "1", datetime.now(UTC), 0, image)


def test_a_known_vignette_is_removed_to_less_than_1_percent() -> None:
    gain = gain_of([shaded(230.0, n) for n in range(16)], "white")
    evened = correct(framed(shaded(150.0, 99)), CameraCalibration(flat_field="flat.npz", gain=gain)).astype(float)
    blocks = evened.reshape(6, 20, 8, 20, 3).mean((1, 3, 4))  # (6, 8) means of 20 x 20 pixels
    assert np.ptp(blocks) / blocks.mean() < 0.01
    assert blocks.mean() == pytest.approx(shaded(150.0).mean(), rel=0.01)


def test_a_bright_pixel_is_held_at_255_and_does_not_wrap() -> None:
    calibration = CameraCalibration(flat_field="flat.npz", gain=np.full((120, 160), 3.9, np.float32))
    assert np.all(correct(framed(np.full((120, 160, 3), 200, np.uint8)), calibration) == 255)


def test_a_picture_of_another_size_is_told_with_the_file() -> None:
    calibration = CameraCalibration(flat_field="flat-cam.npz", gain=np.ones((10, 20), np.float32))
    with pytest.raises(CalibrationError, match=r"160 x 120 pixels, flat-cam.npz was measured at 20 x 10"):
        correct(framed(shaded(100.0)), calibration)


def test_a_picture_that_is_no_white_frame_says_why() -> None:
    path = Path("w.png")
    assert unfit_white(path, shaded(230.0), SIZE) is None
    assert "saturated" in (unfit_white(path, shaded(270.0), SIZE) or "")
    assert "too dark" in (unfit_white(path, shaded(50.0), SIZE) or "")
    assert "160 x 120 pixels, the board's pictures have 10 x 10" in (unfit_white(path, shaded(230.0), (10, 10)) or "")


def test_too_few_frames_and_too_large_a_gain_are_refused() -> None:
    with pytest.raises(CalibrationError, match="3 white pictures, 4 are needed"):
        gain_of([shaded(230.0)] * 3, "white")
    spotted = shaded(230.0)
    spotted[7, 5] = 10
    with pytest.raises(CalibrationError, match="darkest at x 5, y 7"):
        gain_of([spotted] * 4, "white")


def test_a_gain_map_goes_through_camera_toml(tmp_path: Path) -> None:
    gain = gain_of([shaded(230.0, n) for n in range(4)], "white")
    name = write_gain(tmp_path, "cam", gain)
    write_camera(tmp_path, "cam", CameraCalibration(flat_field=name, gain=gain))
    found = read_camera_calibrations(tmp_path)["cam"].gain
    assert found is not None
    assert np.abs(found - gain).max() <= 1 / 8192


def test_a_missing_or_damaged_gain_map_is_told(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"flat.npz: the gain map that camera.toml names is missing"):
        read_gain(tmp_path / "flat.npz")
    (tmp_path / "flat.npz").write_bytes(b"PK\3\4 no")
    with pytest.raises(CalibrationError, match="is no gain map"):
        read_gain(tmp_path / "flat.npz")
    np.savez(tmp_path / "wide.npz", gain=np.full((2, 2), 65535, np.uint16))
    with pytest.raises(CalibrationError, match="outside 1/4 to 4"):
        read_gain(tmp_path / "wide.npz")
