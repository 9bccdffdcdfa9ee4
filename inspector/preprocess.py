"""Preprocessing: correct a frame and judge its quality. Pure functions; pictures are (H, W, 3) uint8 RGB."""

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.core.calibration import CameraCalibration
from inspector.core.frame import Frame, Image
from inspector.errors import CalibrationError
from inspector.settings import QualitySection

_LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""
_MAPPED_PIXELS = 25_000_000
"""Larger pictures are undistorted without a kept map, which takes 6 bytes a pixel."""


def correct(frame: Frame, calibration: CameraCalibration) -> Image:
    """Return the frame's picture, light evened out and lens corrected, same size; the picture itself if nothing is calibrated.

    The flat field comes first: its gain belongs to the sensor's pixels. Light and focus are measured on corrected pictures.
    Raises ``CalibrationError`` if the gain map is of another size.
    """
    image = frame.image if calibration.gain is None or not frame.image.size else _evened(frame.image, calibration.gain, calibration)
    if calibration.camera_matrix is None or not image.size:
        return image
    height, width = image.shape[:2]
    if height * width > _MAPPED_PIXELS:
        corrected = cv2.undistort(image, np.array(calibration.camera_matrix), np.array(calibration.dist_coeffs))
    else:
        maps = _undistortion(calibration.camera_matrix, calibration.dist_coeffs, width, height)
        corrected = cv2.remap(image, *maps, interpolation=cv2.INTER_LINEAR)
    corrected.setflags(write=False)
    return np.asarray(corrected, np.uint8)


def _evened(image: Image, gain: NDArray[np.float32], calibration: CameraCalibration) -> Image:
    """Multiply each pixel with its gain, in float32, rounded and held at 255."""
    if image.shape[:2] != gain.shape:
        found, expected = (f"{shape[1]} x {shape[0]}" for shape in (image.shape, gain.shape))
        raise CalibrationError(
            f"the picture has {found} pixels, {calibration.flat_field} was measured at {expected}; "
            "set the camera to that size, or measure it again with inspector calibrate camera --white"
        )
    evened = np.asarray(cv2.multiply(image, cv2.merge([gain] * 3), dtype=cv2.CV_8U), np.uint8)
    evened.setflags(write=False)
    return evened


def quality_fault(image: Image, quality: QualitySection, calibration: CameraCalibration | None = None) -> str | None:
    """Return why a picture is too poor to be judged, or None. With a calibration the narrower of both limits holds."""
    height, width = image.shape[:2]
    if min(height, width) < quality.min_side_px:
        return f"the picture is {width} x {height} pixels; its shorter side is below quality.min_side_px = {quality.min_side_px}"
    if height * width > quality.max_pixels:
        return f"the picture has {height * width} pixels, more than quality.max_pixels = {quality.max_pixels}"
    limits = calibration or CameraCalibration()
    low = max(quality.luminance_range[0], limits.luminance_range[0])
    high = min(quality.luminance_range[1], limits.luminance_range[1])
    luminance = float(np.dot(cv2.mean(image)[:3], _LUMINANCE))
    if not low <= luminance <= high:
        too = "dark" if luminance < low else "bright"
        return f"the picture is too {too}: mean luminance {luminance:.1f} is outside {low:g} to {high:g}; check light and exposure"
    least = max(quality.blur_min, limits.blur_min)
    if least > 0.0 and (found := sharpness(image)) < least:
        return f"the picture is blurred: variance of Laplacian {found:.1f} is below {least:g}; check focus and motion"
    return None


def sharpness(image: Image) -> float:
    """Return the variance of the Laplacian of the luminance: the higher, the sharper (Pech-Pacheco et al. 2000)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    return float(deviation[0, 0]) ** 2


@functools.lru_cache(maxsize=8)
def _undistortion(
    matrix: tuple[tuple[float, float, float], ...], coefficients: tuple[float, ...], width: int, height: int
) -> tuple[NDArray[np.int16], NDArray[np.uint16]]:
    """Return OpenCV's fixed-point maps for one lens and picture size; they cost more to make than to use."""
    camera = np.array(matrix)
    maps = cv2.initUndistortRectifyMap(camera, np.array(coefficients), np.eye(3), camera, (width, height), cv2.CV_16SC2)
    return np.asarray(maps[0], np.int16), np.asarray(maps[1], np.uint16)
