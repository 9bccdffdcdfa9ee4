"""Writing one camera's table into camera.toml: whole or not at all, the other tables kept letter for letter."""

from collections.abc import Sequence
from pathlib import Path

from inspector.core.calibration import CameraCalibration
from inspector.core.scene import SceneReference
from inspector.errors import CalibrationError
from inspector.settings.calibration_files import CAMERA_FILE, CameraTable, ReferenceTable, calibration_of, read_camera_calibrations
from inspector.settings.table_file import bare_or_quoted, parsed, replace_text, story_of, table_of, text_of, with_table


def write_camera(folder: Path, camera: str, calibration: CameraCalibration, story: Sequence[str] | None = None) -> Path:
    """Write a camera's table with ``story`` as its comment, or the comment that it has; return the file.

    Raises ``CalibrationError``, and then nothing has changed.
    """
    path = folder / CAMERA_FILE
    before = read_camera_calibrations(folder)  # a file with mistakes is not built upon
    old = text_of(path)
    text = with_table(old, camera, _table(camera, calibration, story_of(old, camera) if story is None else story))
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
    values = [(name, _plain(getattr(calibration, name))) for name in fields]
    return table_of(camera, [(name, value) for name, value in values if value != fields[name].default], story)


def _plain(value: object) -> object:
    """Return a value as the file holds it: a reference as a table of what ``ReferenceTable`` knows."""
    if not isinstance(value, SceneReference):
        return value
    return {name: found for name in ReferenceTable.model_fields if (found := getattr(value, name)) is not None}


def _calibrations(text: str) -> dict[str, CameraCalibration]:
    """Return the calibrations in a file's text, {} if it cannot be read."""
    try:
        return {name: calibration_of(CameraTable.model_validate(table)) for name, table in parsed(text).items()}
    except ValueError:
        return {}
