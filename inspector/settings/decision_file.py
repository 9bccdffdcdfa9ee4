"""Writing one product's table into decision.toml: whole or not at all, the other tables kept letter for letter."""

from collections.abc import Sequence
from pathlib import Path

from inspector.core.decision_calibration import DecisionCalibration
from inspector.errors import CalibrationError
from inspector.settings.calibration_files import DECISION_FILE, DecisionTable, read_decisions
from inspector.settings.table_file import bare_or_quoted, parsed, replace_text, table_of, text_of, with_table

__all__ = ["table_text", "with_table", "write_decision"]

_ALWAYS = frozenset({"temperature", "pass_above", "fail_above"})
"""Keys that are written even where they are the default."""


def write_decision(folder: Path, product: str, calibration: DecisionCalibration, story: Sequence[str] = ()) -> Path:
    """Write a product's table with ``story`` as its comment; return the file. Raises ``CalibrationError``, and then nothing has changed."""
    path = folder / DECISION_FILE
    before = read_decisions(folder)  # a file with mistakes is not built upon
    text = with_table(text_of(path), product, table_text(product, calibration, story))
    try:
        after = {name: DecisionCalibration(**DecisionTable.model_validate(table).model_dump()) for name, table in parsed(text).items()}
    except ValueError:
        after = {}
    if after != before | {product: calibration}:
        key = bare_or_quoted(product)
        raise CalibrationError(f"{path}: the table of {product} cannot be replaced; write each product as a table of its own, [{key}]")
    try:
        replace_text(path, text)
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be written ({error.strerror}); check the folder's owner and the disk") from error
    return path


def table_text(product: str, calibration: DecisionCalibration, story: Sequence[str]) -> str:
    """Return a product's table as TOML, its story as comments below the header; defaults are left out."""
    fields = DecisionTable.model_fields
    values = [(name, getattr(calibration, name)) for name in fields]
    return table_of(product, [(name, value) for name, value in values if name in _ALWAYS or value != fields[name].default], story)
