"""normality.toml of a station's folder and the memories beside it: what good parts of each product look like.

A missing file or table means that nothing was fitted. A file that cannot be read or does not fit is a ``CalibrationError``.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from inspector.core.normality import NormalityCalibration, PatchMemory
from inspector.errors import CalibrationError
from inspector.settings.base import Share
from inspector.settings.calibration_files import Measured, read_measured
from inspector.settings.hashed_npz import read_arrays, write_arrays
from inspector.settings.table_file import replace_text, table_of, text_of, with_table

NORMALITY_FILE = "normality.toml"
_CURE = "fit again with inspector calibrate normality, or remove the product's table from normality.toml"


class NormalityTable(Measured):
    """What good parts of one product look like: written by `inspector calibrate normality`, with a file of patches beside it."""

    memory_file: str = Field(pattern=r"^[^/\\]+\.npz$", description="File with the patches of good parts, beside normality.toml.")
    limit: float = Field(gt=0.0, description="A region that scores above is unlike any good part seen: review instead of pass.")
    keep: Share = Field(description="Promised: at least this share of good parts lies within the limit (docs/calibrate-normality.md).")
    groups: int = Field(ge=1, description="Groups of good pictures behind the limit.")
    fitted_on: int = Field(ge=1, description="Good pictures behind the fit.")
    model: str = Field(description="Checkpoint (name@revision) whose features these are; another one is refused.")


def read_normalities(folder: Path) -> dict[str, NormalityCalibration]:
    """Return what good parts look like, by product, with their memories. Raises ``CalibrationError`` with every mistake."""
    tables = read_measured(folder / NORMALITY_FILE, NormalityTable)
    return {product: NormalityCalibration(_memory(folder / table.memory_file), **table.model_dump()) for product, table in tables.items()}


def refuse_other_model(found: dict[str, NormalityCalibration], model: str, folder: Path) -> None:
    """Raise ``CalibrationError`` for the first normality that was fitted with another checkpoint than ``model`` (``name@revision``)."""
    for product, normality in found.items():
        if normality.model != model:
            source = f"{folder / NORMALITY_FILE}: {product}"
            raise CalibrationError(f"{source}: was fitted with {normality.model}, {model} sees parts in other numbers; {_CURE}")


def write_normality(
    folder: Path, product: str, memory: NDArray[np.floating], calibration: NormalityCalibration, story: Sequence[str] = ()
) -> Path:
    """Write the (M, C) memory in float16 and the product's table with ``story`` as its comment; return the TOML file.

    Raises ``CalibrationError``, and then the old table is still in force.
    """
    path = folder / NORMALITY_FILE
    before = read_measured(path, NormalityTable)  # a file with mistakes is not built upon
    name = write_arrays(folder, f"normality-{product}", patches=np.asarray(memory, np.float16))
    written = replace(calibration, memory_file=name)
    fields = [(key, getattr(written, key)) for key in NormalityTable.model_fields if getattr(written, key) is not None]
    text = with_table(text_of(path), product, table_of(product, fields, story))
    try:
        replace_text(path, text)
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be written ({error.strerror}); check the folder's owner and the disk") from error
    old = before.get(product)
    if old is not None and old.memory_file != name and not any(t.memory_file == old.memory_file for p, t in before.items() if p != product):
        (folder / old.memory_file).unlink(missing_ok=True)
    return path


def _memory(path: Path) -> PatchMemory:
    (patches,) = read_arrays(path, ["patches"], "memory of good parts", NORMALITY_FILE, _CURE)
    if patches.ndim != 2 or patches.dtype != np.float16 or not patches.size or not np.isfinite(patches).all():
        raise CalibrationError(f"{path}: a memory of good parts has two axes of finite 16-bit floats; {_CURE}")
    return PatchMemory.of(patches)
