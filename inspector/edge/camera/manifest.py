"""The manifest of a replay: a CSV file with ``file`` and, where known, ``product``, ``lot``, ``part_id`` and ``recorded_at``.

The order of its rows is the order of the replay. Other columns (a label, a remark) are ignored. Every mistake is reported at once, with
its line. What Excel writes is read: a byte order mark, semicolons or tabs for commas.
"""

import csv
import difflib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from inspector.errors import CameraError

_MOST_SHOWN = 20
"""Mistakes that are listed; the others are only counted."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of a replay."""

    path: Path
    """Where the picture lies."""
    frame_id: str
    """Its name within the replay."""
    product: str | None = None
    """Product in view, if known."""
    lot: str | None = None
    """Lot, position or batch, if known."""
    part_id: str | None = None
    """Serial number, if known."""
    recorded_at: datetime | None = None
    """When the picture was first taken, UTC, if known."""


def read_manifest(path: Path, folder: Path) -> list[Entry]:
    """Read a manifest whose files lie in ``folder``. Raises ``CameraError`` with every mistake and its line."""
    lines = io.StringIO(_text(path), newline="")
    first = lines.readline()
    lines.seek(0)
    delimiter = max(",;\t", key=first.count)
    rows = csv.DictReader(lines, delimiter=delimiter, strict=True)
    columns = [name.strip() for name in rows.fieldnames or []]
    rows.fieldnames = columns
    if "file" not in columns:
        near = difflib.get_close_matches("file", columns, n=1) or [name for name in columns if "file" in name.lower()]
        hint = f'did you mean "{near[0]}"?' if near else f"its columns are {', '.join(columns) or 'none'}"
        raise CameraError(f'{path}: line 1: there is no column "file"; {hint}')
    mistakes: list[str] = []
    entries = list(_entries(rows, folder, mistakes))
    if not entries and not mistakes:
        mistakes.append("line 2: there is no row; name one picture a line")
    if mistakes:
        more = [f"... and {len(mistakes) - _MOST_SHOWN} more"] if len(mistakes) > _MOST_SHOWN else []
        raise CameraError(f"{path}: cannot be replayed\n" + "\n".join(f"  - {line}" for line in mistakes[:_MOST_SHOWN] + more))
    return entries


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CameraError(f"{path}: the manifest cannot be read: {error.strerror}; correct manifest in station.toml") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise CameraError(f"{path}: line {line}: not UTF-8; save the file as CSV UTF-8") from error


def _entries(rows: "csv.DictReader[str]", folder: Path, mistakes: list[str]) -> Iterator[Entry]:
    """Yield an entry for each good row and note what is wrong with the others."""
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            mistakes.append(f"line {rows.line_num}: not CSV: {error}")
            return
        if row is None:
            return
        try:
            yield _entry(row, folder)
        except ValueError as error:
            mistakes.append(f"line {rows.line_num}: {error}")


def _entry(row: Mapping[str | None, str | list[str] | None], folder: Path) -> Entry:
    """Return what a row says. Raises ``ValueError`` with its mistake."""
    if None in row:
        raise ValueError("more fields than columns; put a field that holds the separator in double quotes")
    value = {key: text.strip() for key, text in row.items() if isinstance(text, str) and text.strip()}
    name = value.get("file")
    if name is None:
        raise ValueError("file is empty")
    if "\0" in name or not (folder / name).is_file():
        raise ValueError(f'there is no file "{name}" in {folder}')
    return Entry(
        folder / name,
        Path(name).as_posix(),
        value.get("product"),
        value.get("lot"),
        value.get("part_id"),
        _instant(value.get("recorded_at")),
    )


def _instant(text: str | None) -> datetime | None:
    """Read an instant; without an offset it is UTC."""
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f'recorded_at is "{text}", expected an instant such as 2026-11-23T14:00:00Z') from None
