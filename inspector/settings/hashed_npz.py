"""Arrays beside a measured TOML file: compressed, lossless, the hash of their content in the file's name.

New content has a new name, so the TOML file points at the old arrays or the new ones, never at half a file.
"""

import hashlib
import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.errors import CalibrationError

_UNREADABLE = (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile)


def read_arrays(path: Path, names: Sequence[str], what: str, named_by: str, cure: str) -> list[NDArray[Any]]:
    """Return the named arrays of a file. Raises ``CalibrationError`` that names the file, ``what`` it should hold and the cure.

    ``named_by`` is the TOML file that points at it.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as content:
            arrays = [content[name] for name in names]
    except FileNotFoundError as error:
        raise CalibrationError(f"{path}: the {what} that {named_by} names is missing; {cure}") from error
    except _UNREADABLE as error:
        raise CalibrationError(f"{path}: is no {what}; {cure}") from error
    if not all(isinstance(array, np.ndarray) for array in arrays):
        raise CalibrationError(f"{path}: is no {what}; {cure}")
    return arrays


def write_arrays(folder: Path, stem: str, **arrays: NDArray[Any]) -> str:
    """Write arrays into a station's folder; return the file's name, ``<stem>-<hash>.npz``. Raises ``CalibrationError``."""
    content = hashlib.sha256()
    for array in arrays.values():
        content.update(repr(array.shape).encode() + array.tobytes())
    name = f"{stem}-{content.hexdigest()[:12]}.npz"
    memory = io.BytesIO()
    np.savez_compressed(memory, allow_pickle=False, **arrays)
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
