"""Writing one camera's table into camera.toml: whole or not at all, the other tables kept letter for letter."""

from collections.abc import Sequence
from pathlib import Path

from inspector.core.calibration import CameraCalibration
from inspector.errors import CalibrationError
from inspector.settings.calibration_files import CAMERA_FILE, CameraTable, read_camera_calibrations
from inspector.settings.table_file import bare_or_quoted, parsed, replace_text, table_of, text_of, with_table


def write_camera(folder: Path, camera: str, calibration: CameraCalibration, story: Sequence[str] = ()) -> Path:
    """Write a camera's table with ``story`` as its comment; return the file. Raises ``CalibrationError``, and then nothing has changed."""
    path = folder / CAMERA_FILE
    before = read_camera_calibrations(folder)  # a file with mistakes is not built upon
    text = with_table(text_of(path), camera, _table(camera, calibration, story))
    if _calibrations(text) != before | {camera: calibration}:
        key = bare_or_quoted(camera)
        raise CalibrationError(f"{path}: the table of {camera} cannot be replaced; write each camera as a table of its own, [{key}]")
    try:
        replace_text(path, text)
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be written ({error.strerror}); check the folder's owner and the disk") from error
    return path


def _table(camera: str, calibration: CameraCalibration, story: Sequence[str]) -> str:
    """Return a camera's table as TOML; defaults are left out."""
    fields = CameraTable.model_fields
    values = [(name, getattr(calibration, name)) for name in fields]
    return table_of(camera, [(name, value) for name, value in values if value != fields[name].default], story)


def _calibrations(text: str) -> dict[str, CameraCalibration]:
    """Return the calibrations in a file's text, {} if it cannot be read."""
    try:
        return {name: CameraCalibration(**CameraTable.model_validate(table).model_dump()) for name, table in parsed(text).items()}
    except ValueError:
        return {}
