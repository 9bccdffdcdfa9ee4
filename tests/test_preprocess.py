"""Correction, quality and the model's input."""

from datetime import UTC, datetime
from typing import Any

import cv2
import numpy as np
import pytest

from inspector.core.calibration import CameraCalibration
from inspector.core.frame import Frame, Image
from inspector.preprocess import correct, quality_fault, sharpness
from inspector.settings import QualitySection


def noise(height: int = 64, width: int = 80) -> Image:
    image = np.random.default_rng(1).integers(0, 256, (height, width, 3)).astype(np.uint8)
    image.setflags(write=False)
    return image


def framed(image: Image) -> Frame:
    return Frame("station", "cam", "1", datetime.now(UTC), 0, image)


def lens(width: int, height: int, *coefficients: float) -> CameraCalibration:
    return CameraCalibration(((80.0, 0.0, width / 2), (0.0, 80.0, height / 2), (0.0, 0.0, 1.0)), coefficients)


def test_an_uncalibrated_picture_stays_the_same_object() -> None:
    image = noise()
    assert correct(framed(image), CameraCalibration()) is image


@pytest.mark.parametrize("coefficients", [(), (0.0, 0.0, 0.0, 0.0)])
def test_a_lens_without_distortion_changes_nothing(coefficients: tuple[float, ...]) -> None:
    corrected = correct(framed(noise()), lens(80, 64, *coefficients))
    assert np.abs(corrected.astype(int) - noise()).max() <= 1
    assert not corrected.flags.writeable


def bow_px(image: Image) -> float:
    """Return by how many rows a horizontal line bends between its middle and its ends."""
    light = image[:, 30:-30, 0].astype(float)
    centres = (light * np.arange(len(light))[:, None]).sum(0) / light.sum(0)
    return float(np.ptp(centres))


def test_a_distorted_line_becomes_straight() -> None:
    calibration = CameraCalibration(((150.0, 0.0, 100.0), (0.0, 150.0, 100.0), (0.0, 0.0, 1.0)), (-0.3, 0.0, 0.0, 0.0))
    matrix, coefficients = np.array(calibration.camera_matrix), np.array(calibration.dist_coeffs)
    line = np.stack([np.linspace(-0.6, 0.6, 400), np.full(400, -0.5), np.ones(400)], 1)
    bent, _ = cv2.projectPoints(line, np.zeros(3), np.zeros(3), matrix, coefficients)
    image = np.zeros((200, 200, 3), np.uint8)
    cv2.polylines(image, [bent.round().astype(np.int32)], isClosed=False, color=(255, 255, 255), thickness=2)
    before, after = (bow_px(picture) for picture in (image, correct(framed(image), calibration)))
    assert before > 5
    assert after < 1.5


def test_a_large_picture_is_corrected_like_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    calibration = lens(80, 64, -0.2, 0.01, 0.0, 0.0)
    mapped = correct(framed(noise()), calibration)
    monkeypatch.setattr("inspector.preprocess._MAPPED_PIXELS", 10)
    assert np.abs(correct(framed(noise()), calibration).astype(int) - mapped).max() <= 2


def test_a_good_picture_has_no_fault() -> None:
    assert quality_fault(noise(), QualitySection()) is None


@pytest.mark.parametrize(
    ("image", "keys", "reason"),
    [
        (np.zeros((0, 0, 3), np.uint8), {}, "0 x 0 pixels; its shorter side is below quality.min_side_px = 32"),
        (np.full((1, 1, 3), 90, np.uint8), {}, "1 x 1 pixels"),
        (np.full((31, 400, 3), 90, np.uint8), {}, "400 x 31 pixels"),
        (np.full((40, 40, 3), 90, np.uint8), {"max_pixels": 1599}, "has 1600 pixels, more than quality.max_pixels = 1599"),
        (np.zeros((40, 40, 3), np.uint8), {}, "too dark: mean luminance 0.0 is outside 2 to 253"),
        (np.full((40, 40, 3), 255, np.uint8), {}, "too bright: mean luminance 255.0"),
        (np.full((40, 40, 3), 90, np.uint8), {"blur_min": 1.0}, "blurred: variance of Laplacian 0.0 is below 1"),
    ],
)
def test_a_poor_picture_says_why(image: Any, keys: dict[str, Any], reason: str) -> None:
    assert reason in (quality_fault(image, QualitySection(**keys)) or "")


def test_the_narrower_of_settings_and_calibration_holds() -> None:
    image = np.full((40, 40, 3), 90, np.uint8)
    assert "outside 100 to 253" in (quality_fault(image, QualitySection(), CameraCalibration(luminance_range=(100.0, 255.0))) or "")
    assert "outside 95 to 253" in (quality_fault(image, QualitySection(luminance_range=(95.0, 253.0)), CameraCalibration()) or "")
    assert "below 5" in (quality_fault(image, QualitySection(blur_min=1.0), CameraCalibration(blur_min=5.0)) or "")


def test_a_region_cut_out_of_a_read_only_frame_is_judged_in_place() -> None:
    crop = noise(200, 200)[20:100, 30:120]
    assert quality_fault(crop, QualitySection(blur_min=1.0)) is None


def test_blurring_lowers_sharpness() -> None:
    image = noise()
    assert sharpness(np.asarray(cv2.GaussianBlur(image, (0, 0), 2), np.uint8)) < sharpness(image) / 10
