"""decision.toml and camera.toml of a station's folder: what was measured, one table for each product or camera.

A missing file or table means defaults: nothing was measured. A file that cannot be read or does not fit is a ``CalibrationError`` that
lists every mistake, because thresholds that are silently ignored let bad parts pass.
"""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from inspector.core.calibration import CameraCalibration
from inspector.core.decision import DecisionCalibration
from inspector.core.scene import SceneReference
from inspector.errors import CalibrationError
from inspector.settings.base import Section, Share, Span
from inspector.settings.flat_field import read_gain
from inspector.settings.mistakes import WHOLE, sentences
from inspector.settings.scene_picture import read_scene
from inspector.settings.toml_file import UnreadableError, read_table

DECISION_FILE = "decision.toml"
CAMERA_FILE = "camera.toml"
_DISTORTIONS = (0, 4, 5, 8, 12, 14)
"""Numbers of coefficients that OpenCV's lens models have."""

_Row = Annotated[tuple[float, float, float], Field(strict=False)]


class Measured(Section):
    """A table of something measured."""

    calibrated_at: datetime | None = Field(None, description="When it was measured; without an offset it is UTC.")

    @field_validator("calibrated_at")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        try:
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        except OverflowError:
            raise ValueError(f"{value} lies outside the calendar") from None


class DecisionTable(Measured):
    """Temperature and thresholds of one product, fitted on labelled pictures of this station."""

    temperature: float = Field(1.0, gt=0.0, le=100.0, description="Posteriors are raised to 1/temperature and renormalised.")
    pass_above: Share = Field(0.9, description="Least probability of the good label for a pass.")
    fail_above: Share = Field(0.6, description="Least probability of a defect for a fail.")
    fitted_on: int = Field(0, ge=0, description="Number of labelled pictures behind the fit.")
    target_escape: Share | None = Field(
        None, description="Promised: at most this share of defective parts passes (docs/calibrate.md). Without it nothing is promised."
    )
    ece: Share | None = Field(None, description="Expected calibration error on the pictures of the fit.")
    confidence: Share | None = Field(None, description="Probability with which such a fit keeps its promise.")
    groups: int = Field(0, ge=0, description="Number of groups with defective parts behind the promise.")
    review_share: Share | None = Field(None, description="Share of the pictures of the fit that went to review.")
    false_reject_share: Share | None = Field(None, description="Share of the good pictures of the fit that failed.")
    model: str | None = Field(
        None, description="Checkpoint (name@revision) that judged the pictures; under another one nothing is promised."
    )


class ReferenceTable(Measured):
    """How the scene looks when the camera is well mounted and lit; a pixel is one of the camera's pictures."""

    picture: str = Field(pattern=r"^[^/\\]+\.png$", description="File with the scene, grey and small, beside camera.toml.")
    size_px: Annotated[tuple[int, int], Field(strict=False)] = Field(description="Width and height of the camera's pictures.")
    frames: int = Field(ge=1, description="Pictures behind it.")
    luminance: _Row = Field(description="Mean luminance (0..255) of the pictures: 5th percentile, median, 95th percentile.")
    focus: _Row = Field(description="Variance of Laplacian of the pictures, the same percentiles.")
    shift_sigma_px: float = Field(ge=0.0, description="Natural shift of the scene over the pictures, root mean square.")
    light_sigma: float = Field(ge=0.0, description="Natural variation of the brightness over the pictures, standard deviation, as a share.")
    moved_px: float = Field(gt=0.0, description="A shift beyond this, root mean square over the fixed parts, is told as `camera-moved`.")
    light_limit: float = Field(gt=0.0, description="A change of brightness beyond this share is told as `exposure-drift`.")
    tiles: Annotated[tuple[Annotated[tuple[int, int], Field(strict=False)], ...], Field(strict=False)] = Field(
        (), description="[x, y] of the scene's fixed parts in the small picture, squares of 32 pixels; none: a move cannot be seen."
    )


class CameraTable(Measured):
    """Lens, scale, light and focus of one camera."""

    camera_matrix: Annotated[tuple[_Row, _Row, _Row], Field(strict=False)] | None = Field(
        None, description="3x3 intrinsic matrix in pixels, as a list of three rows. Without it the lens is not corrected."
    )
    dist_coeffs: Annotated[tuple[float, ...], Field(strict=False)] = Field(
        (), validate_default=True, description="Distortion coefficients in OpenCV's order (k1 k2 p1 p2 k3 ...): 4, 5, 8, 12 or 14 of them."
    )
    mm_per_px: float | None = Field(None, gt=0.0, description="Scale on the part's surface, millimetres a pixel.")
    luminance_range: Span = Field((0.0, 255.0), description="A region whose mean luminance (0..255) lies outside is a quality fault.")
    blur_min: float = Field(
        0.0, ge=0.0, description="A region whose variance of Laplacian lies below is a quality fault; 0 switches it off."
    )
    flat_field: str | None = Field(
        None,
        pattern=r"^[^/\\]+\.npz$",
        description="File with the gain map of a flat field, beside camera.toml. Without it light is not evened out.",
    )

    reference: ReferenceTable | None = Field(
        None, description="How the scene looks when all is well, by `inspector calibrate reference`. Without it neither warning is given."
    )

    @field_validator("camera_matrix")
    @classmethod
    def _is_intrinsic(cls, value: tuple[_Row, ...] | None) -> tuple[_Row, ...] | None:
        if value is not None and (value[0][0] <= 0.0 or value[1][1] <= 0.0 or value[2] != (0.0, 0.0, 1.0)):
            raise ValueError("must read [[fx, s, cx], [0, fy, cy], [0, 0, 1]] with fx and fy above 0")
        return value

    @field_validator("dist_coeffs")
    @classmethod
    def _fits_lens_model(cls, value: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        if len(value) not in _DISTORTIONS:
            raise ValueError(f"must have 4, 5, 8, 12 or 14 values, has {len(value)}")
        if value and "camera_matrix" in info.data and info.data["camera_matrix"] is None:
            raise ValueError("means nothing without camera_matrix; give both or neither")
        return value

    @field_validator("luminance_range")
    @classmethod
    def _ascends(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0.0 <= value[0] < value[1] <= 255.0:
            raise ValueError(f"must be [low, high] with 0 <= low < high <= 255 (found {list(value)})")
        return value


_Table = TypeVar("_Table", bound=Measured)


def read_decision(folder: Path, product: str) -> DecisionCalibration:
    """Return a product's calibration from ``folder/decision.toml``, defaults if it has none. Raises ``CalibrationError``."""
    return read_decisions(folder).get(product, DecisionCalibration())


def read_decisions(folder: Path) -> dict[str, DecisionCalibration]:
    """Return the calibrations of all products in ``folder/decision.toml``. Raises ``CalibrationError`` with every mistake."""
    tables = read_measured(folder / DECISION_FILE, DecisionTable)
    return {product: DecisionCalibration(**table.model_dump()) for product, table in tables.items()}


def read_camera_calibration(folder: Path, camera: str) -> CameraCalibration:
    """Return a camera's calibration from ``folder/camera.toml``, defaults if it has none. Raises ``CalibrationError``."""
    return read_camera_calibrations(folder).get(camera, CameraCalibration())


def read_camera_calibrations(folder: Path) -> dict[str, CameraCalibration]:
    """Return the calibrations of all cameras in ``folder/camera.toml``. Raises ``CalibrationError`` with every mistake."""
    tables = read_measured(folder / CAMERA_FILE, CameraTable)
    return {camera: _with_files(folder, calibration_of(table)) for camera, table in tables.items()}


def calibration_of(table: CameraTable) -> CameraCalibration:
    """Return what a table says, without the files that it names."""
    values = table.model_dump()
    reference = None if table.reference is None else SceneReference(**values["reference"])
    return CameraCalibration(**values | {"reference": reference})


def _with_files(folder: Path, calibration: CameraCalibration) -> CameraCalibration:
    name, reference = calibration.flat_field, calibration.reference
    return replace(
        calibration,
        gain=None if name is None else read_gain(folder / name),
        reference=None if reference is None else replace(reference, grey=read_scene(folder, reference)),
    )


def read_measured(path: Path, section: type[_Table]) -> dict[str, _Table]:
    """Return the named tables of a file, {} if there is no such file. Raises ``CalibrationError`` with every mistake."""
    try:
        content = read_table(path)
    except FileNotFoundError:
        return {}
    except UnreadableError as error:
        raise CalibrationError(f"{path}: {error}") from error
    tables, mistakes = {}, []
    for name, value in content.items():
        try:
            tables[name] = section.model_validate(value)
        except ValidationError as error:
            mistakes += [f"{name}.{line}".replace(f"{name}.{WHOLE}", name, 1) for line in sentences(error, section)]
    if mistakes:
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) != 1 else ''}"
        raise CalibrationError(f"{path}: {count}\n" + "\n".join(f"  - {line}" for line in mistakes))
    return tables
