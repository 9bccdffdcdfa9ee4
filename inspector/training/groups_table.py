"""A table of groups beside the pictures: CSV with ``file`` and ``group``, where known ``lot`` and ``taken_at``.

What spreadsheets write is read: a byte order mark, semicolons or tabs for commas. A file is named by its path below the data folder, or
by its name alone where no other picture has it.
"""

import csv
import difflib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from inspector.edge.report_dates import read_instant
from inspector.errors import DataError, ReportError
from inspector.training.listing import Listed
from inspector.training.remarks import Remarks


@dataclass(frozen=True, slots=True)
class Row:
    """What the table says of one picture."""

    line: int
    """Line in the file, from 1."""
    group: str
    """Part, plate or board."""
    lot: str | None = None
    """Lot, position or batch."""
    taken_at: datetime | None = None
    """When it was taken, UTC."""


def grouped_by_table(listed: Sequence[Listed], path: Path, remarks: Remarks) -> list[Listed]:
    """Return the pictures with the group, lot and time that the table gives. A picture that is not in it is refused."""
    rows, used = read_groups(path, remarks), set[str]()
    doubled = {name for name, count in Counter(Path(picture.file).name for picture in listed).items() if count > 1}
    result = []
    for picture in listed:
        name = Path(picture.file).name
        key = picture.file if picture.file in rows else name
        row = rows.get(key)
        if row is None or (key == name != picture.file and name in doubled):
            why = "has no row" if row is None else "shares its name with another picture; write its path below the data folder"
            remarks.refuse(f"not in {path.name}", f"{picture.file}: {why} in {path.name}")
            result.append(picture)
            continue
        used.add(key)
        result.append(replace(picture, group=row.group, lot=row.lot or picture.lot, taken_at=row.taken_at or picture.taken_at))
    if idle := sorted(rows.keys() - used):
        remarks.note(f"row of {path.name}", f"{path.name}: {len(idle)} rows name no picture that was read, such as {idle[0]}")
    return result


def read_groups(path: Path, remarks: Remarks) -> dict[str, Row]:
    """Return file -> row. Raises ``DataError`` if the table cannot be read at all; single bad rows are refused by line."""
    rows = csv.DictReader(io.StringIO(_text(path), newline=""), delimiter=_delimiter(path))
    rows.fieldnames = [name.strip().casefold() for name in rows.fieldnames or []]
    _check_columns(path, rows.fieldnames)
    found = dict[str, Row]()
    for values in rows:
        try:
            name, row = _row(values, rows.line_num)
        except (ValueError, ReportError) as error:
            remarks.refuse(f"row of {path.name}", f"{path.name}:{rows.line_num}: {error}")
            continue
        if name in found and found[name].group != row.group:
            remarks.refuse(
                f"row of {path.name}", f"{path.name}:{row.line}: {name} has group {row.group!r} here and another on line {found[name].line}"
            )
        found.setdefault(name, row)
    return found


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(str(path), [f"cannot be read: {error.strerror or error}; expected CSV with the columns file and group"]) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(str(path), [f"line {line} is not UTF-8; save the table as CSV UTF-8"]) from error


def _delimiter(path: Path) -> str:
    return max(",;\t", key=_text(path).partition("\n")[0].count)


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    """Raise ``DataError`` that names each column that is missing."""
    wrong = []
    for wanted in ("file", "group"):
        if wanted not in columns:
            near = difflib.get_close_matches(wanted, columns, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"found {', '.join(columns) or 'none'}"
            wrong.append(f"line 1: there is no column {wanted!r}; {hint} The columns are file, group, and where known lot and taken_at")
    if wrong:
        raise DataError(str(path), wrong)


def _row(values: Mapping[str | None, str | list[str] | None], line: int) -> tuple[str, Row]:
    if None in values:
        raise ValueError("more fields than columns; put a field that holds the separator in double quotes")
    said = {key: text.strip() for key, text in values.items() if isinstance(text, str) and text.strip()}
    missing = [key for key in ("file", "group") if key not in said]
    if missing:
        raise ValueError(f"{missing[0]} is empty")
    taken_at = read_instant(said["taken_at"]) if "taken_at" in said else None
    return said["file"].replace("\\", "/").removeprefix("./"), Row(line, said["group"], said.get("lot"), taken_at)
