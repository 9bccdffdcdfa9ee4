"""Writing one product's table into decision.toml: whole or not at all, the other tables kept letter for letter.

The file is replaced in one step (new file, fsync, rename), so that a daemon that reads it sees the old fit or the new one.
"""

import os
import re
import tempfile
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from inspector.core.decision_calibration import DecisionCalibration
from inspector.errors import CalibrationError
from inspector.settings.calibration_files import DECISION_FILE, DecisionTable, read_decisions

_ALWAYS = frozenset({"temperature", "pass_above", "fail_above"})
"""Keys that are written even where they are the default."""
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_HEADER = re.compile(r"""^[ \t]*\[[ \t]*("(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)[ \t]*\]""")


def write_decision(folder: Path, product: str, calibration: DecisionCalibration, story: Sequence[str] = ()) -> Path:
    """Write a product's table with ``story`` as its comment; return the file. Raises ``CalibrationError``, and then nothing has changed."""
    path = folder / DECISION_FILE
    before = read_decisions(folder)  # a file with mistakes is not built upon
    text = with_table(_text(path), product, table_text(product, calibration, story))
    try:
        after = {
            name: DecisionCalibration(**DecisionTable.model_validate(table).model_dump()) for name, table in tomllib.loads(text).items()
        }
    except ValueError:
        after = {}
    if after != before | {product: calibration}:
        raise CalibrationError(
            f"{path}: the table of {product} cannot be replaced; write each product as a table of its own, [{_key(product)}]"
        )
    try:
        _replace(path, text)
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be written ({error.strerror}); check the folder's owner and the disk") from error
    return path


def with_table(text: str, product: str, table: str) -> str:
    """Return a file's text with a product's table replaced, or added at the end."""
    lines, kept, is_own, is_placed = text.splitlines(keepends=True), list[str](), False, False
    for number, line in enumerate(lines):
        if header := _HEADER.match(line):
            is_own = _name(header[1]) == product
            if is_own and not is_placed:
                kept.append(table)
                is_placed = True
        elif is_own and _belongs_to_next(lines[number:]):
            is_own = False
        if not is_own:
            kept.append(line)
    whole = "".join(kept)
    if is_placed:
        return whole
    return f"{whole.rstrip()}\n\n{table}" if whole.strip() else table


def table_text(product: str, calibration: DecisionCalibration, story: Sequence[str]) -> str:
    """Return a product's table as TOML, its story as comments below the header; defaults are left out."""
    fields = {name: getattr(calibration, name) for name in DecisionTable.model_fields}
    keys = [
        f"{name} = {_value(value)}\n"
        for name, value in sorted(fields.items(), key=lambda item: item[0] == "calibrated_at")
        if name in _ALWAYS or value != DecisionTable.model_fields[name].default
    ]
    return f"[{_key(product)}]\n" + "".join(f"# {line}\n" for line in story) + "".join(keys) + "\n"


def _belongs_to_next(rest: Sequence[str]) -> bool:
    """Tell whether a comment after an empty line introduces the next table."""
    if not rest[0].lstrip().startswith("#"):
        return False
    follows = next((line for line in rest if not line.lstrip().startswith("#")), "")
    return bool(_HEADER.match(follows))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig") if path.is_file() else ""


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else f'"{name}"'


def _name(key: str) -> str:
    return next(iter(tomllib.loads(f"{key} = 1")))


def _value(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)


def _replace(path: Path, text: str) -> None:
    """Put a text in a file's place, with the file's mode; what is on disk is the old text or the new one."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(handle, mode)
            os.fsync(handle)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
