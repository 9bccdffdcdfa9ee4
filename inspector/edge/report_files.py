"""Report files -> reports: CSV, JSONL, text files. Good rows are kept, bad ones are told by file and line.

Text is UTF-8, with or without a byte order mark; CSV may be separated by comma, semicolon or tab. ``text`` is required, ``written_at`` too
except for text files. An instant without a time zone is UTC. A row without ``report_id`` gets one from a hash over its content, so that
reading a file twice gives the same ids.
"""

import csv
import difflib
import hashlib
import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from inspector.core.report import Report
from inspector.edge.report_dates import leading_instant, read_instant
from inspector.errors import ReportError

_FIELDS = tuple(field.name for field in fields(Report))
_DELIMITERS = ",;\t"
_CSV, _JSONL, _TEXT = {".csv", ".tsv"}, {".jsonl", ".ndjson"}, {".txt"}


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was left out."""

    path: Path
    """File."""
    line: int
    """Line on which the row begins, from 1; 0 stands for the file as a whole."""
    reason: str
    """What is wrong and what was expected."""

    def __str__(self) -> str:
        """Return ``file:line: reason``."""
        return f"{self.path}:{self.line}: {self.reason}" if self.line else f"{self.path}: {self.reason}"


@dataclass(frozen=True, slots=True)
class ReportRules:
    """How rows become reports at one station."""

    default_product: str
    """Product of rows that name none."""
    products: frozenset[str]
    """Products that the station knows; a row of another one is bad."""
    columns: Mapping[str, str]
    """Report field to the name it has in the file, for fields that are named otherwise there."""


def read_reports(path: Path, rules: ReportRules) -> tuple[list[Report], list[BadRow]]:
    """Read one file, or a folder of text files. A file that cannot be used as a whole gives one bad row and no report.

    Raises ``ReportError`` if ``rules.columns`` itself is wrong.
    """
    _check_columns(rules.columns)
    try:
        rows = list(_rows(path, rules.columns))
    except ReportError as error:
        return [], [BadRow(path, 0, str(error))]
    reports, bad, seen = [], [], dict[str, tuple[Path, int, Report]]()
    for file, line, row in rows:
        try:
            report = to_report(row, rules) if isinstance(row, dict) else _refuse(row)
            where = seen.setdefault(report.report_id, (file, line, report))
            if where[2] != report:
                _refuse(f"report_id {report.report_id!r} stands on line {where[1]} with another content; each report needs its own id")
        except ReportError as error:
            bad.append(BadRow(file, line, str(error)))
        else:
            reports.append(report)
    return reports, bad


def to_report(row: Mapping[str, Any], rules: ReportRules) -> Report:
    """Turn one row, keyed by report fields, into a report. Raises ``ReportError`` that says what is wrong."""
    values = {name: _word(name, row.get(name)) for name in _FIELDS if name != "written_at"}
    if not values["text"]:
        raise ReportError("text is empty; a report must say something")
    if row.get("written_at") in (None, ""):
        raise ReportError("written_at is empty; expected a date such as 2026-11-23 14:00")
    written_at = row["written_at"] if isinstance(row["written_at"], datetime) else read_instant(str(row["written_at"]))
    product = values["product"] or rules.default_product
    if product not in rules.products:
        near = difflib.get_close_matches(product, rules.products, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(rules.products))}"
        raise ReportError(f"product {product!r} is not one of this station's products; {hint}")
    words = {name: values[name] or None for name in ("station", "lot", "label")}
    report = Report(values["report_id"], written_at, product, values["text"], **words)
    return report if report.report_id else Report(stable_id(report), written_at, product, values["text"], **words)


def stable_id(report: Report) -> str:
    """Return an id made of a report's content alone."""
    parts = [report.written_at.isoformat(), report.product, report.station, report.lot, report.label, report.text]
    return "r-" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _word(name: str, value: object) -> str:
    """Return a field as text without outer white space."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float | datetime):
        raise ReportError(f"{name} is {json.dumps(value)[:40]}, expected text")
    return str(value).strip().encode("utf-8", "replace").decode("utf-8")  # JSON may hold half a surrogate pair, no file or database may


def _refuse(reason: str) -> Report:
    raise ReportError(reason)


def _check_columns(columns: Mapping[str, str]) -> None:
    for name in columns:
        if name not in _FIELDS:
            near = difflib.get_close_matches(name, _FIELDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_FIELDS)}"
            raise ReportError(f"reports.columns: {name!r} is not a field of a report; {hint}")


def _rows(path: Path, columns: Mapping[str, str]) -> Iterator[tuple[Path, int, dict[str, Any] | str]]:
    """Yield (file, line, row keyed by report fields, or the reason why there is none)."""
    suffix = path.suffix.lower()
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in _TEXT and file.is_file())
        if not files:
            raise ReportError("no .txt file in this folder")
        yield from ((file, 0, _text_row(file)) for file in files)
    elif suffix in _CSV:
        yield from ((path, line, row) for line, row in _csv_rows(_read_text(path), columns))
    elif suffix in _JSONL:
        yield from ((path, line, row) for line, row in _jsonl_rows(_read_text(path), columns))
    elif suffix in _TEXT:
        yield path, 0, _text_row(path)
    elif not path.exists():
        raise ReportError("there is no such file or folder")
    else:
        raise ReportError(
            f"files of the kind {suffix or 'without suffix'} are not read; expected .csv, .tsv, .jsonl, .txt or a folder of .txt files"
        )


def _read_text(path: Path) -> str:
    """Return a file's text. Another encoding than UTF-8 is refused with the line where it shows."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ReportError(f"cannot be read: {error.strerror or error}; check the path and its permissions") from error
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ReportError('line 1: this is UTF-16, expected UTF-8; save it as "CSV UTF-8" or convert it: iconv -f UTF-16 -t UTF-8')
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        cure = 'save it as "CSV UTF-8" or convert it, for example: iconv -f WINDOWS-1252 -t UTF-8 (Chinese: -f GB18030)'
        raise ReportError(f"line {line}: byte 0x{content[error.start]:02x} is not UTF-8; {cure}") from None


def _text_row(path: Path) -> dict[str, Any] | str:
    """Return the row of a text file: its name is the id, a date at the begin of name or text says when, else the file's own time."""
    try:
        text = _read_text(path).strip()
    except ReportError as error:
        return str(error)
    named, _ = leading_instant(path.stem)
    written, rest = leading_instant(text)
    changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return {"report_id": path.stem, "text": rest if written is not None and rest else text, "written_at": written or named or changed}


def _csv_rows(text: str, columns: Mapping[str, str]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    lines = list(io.StringIO(text, newline=""))
    first = next((index for index, line in enumerate(lines) if line.strip()), None)
    if first is None:
        raise ReportError("the file is empty; expected a line of column names and one line a report")
    delimiter = max(_DELIMITERS, key=lines[first].count)
    header = [name.strip() for name in next(csv.reader([lines[first]], delimiter=delimiter))]
    names = _places(header, columns)
    index = first + 1
    while index < len(lines):
        record, taken = _csv_record(lines, index, delimiter, len(header))
        if isinstance(record, str):
            yield index + 1, record
        elif any(cell.strip() for cell in record):
            yield index + 1, {name: record[place] for name, place in names.items()}
        index += taken


def _csv_record(lines: Sequence[str], index: int, delimiter: str, width: int) -> tuple[list[str] | str, int]:
    """Return (record or what is wrong with it, lines taken). After a broken row reading goes on with the next line."""
    reader = csv.reader((lines[number] for number in range(index, len(lines))), delimiter=delimiter, strict=True)
    try:
        record = next(reader)
    except csv.Error:
        return "a quotation mark is opened and not closed properly; double it inside a quoted field", 1
    if record and len(record) != width:
        return f"{len(record)} fields, the first line names {width}; put a field that holds {delimiter!r} in quotation marks", 1
    return record, reader.line_num


def _places(header: Sequence[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Return report field to position in the header."""
    known = {name.casefold(): place for place, name in reversed(list(enumerate(header)))}
    places = {}
    for field in _FIELDS:
        wanted = columns.get(field, field)
        if wanted.casefold() in known:
            places[field] = known[wanted.casefold()]
        elif field in columns or field in {"text", "written_at"}:
            raise ReportError(f"line 1: no column {wanted!r} for {field}; {_columns_hint(field, wanted, header)}")
    return places


def _columns_hint(field: str, wanted: str, header: Collection[str]) -> str:
    near = difflib.get_close_matches(wanted, header, n=1)
    return f'found {", ".join(header)}; set reports.columns = {{ {field} = "{near[0] if near else "..."}" }} in station.toml'


def _jsonl_rows(text: str, columns: Mapping[str, str]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, _json_row(line, columns)


def _json_row(line: str, columns: Mapping[str, str]) -> dict[str, Any] | str:
    try:
        table = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}; expected one object a line"
    if not isinstance(table, dict):
        return f"expected an object {{...}}, found {line.strip()[:40]}"
    absent = [columns.get(name, name) for name in ("text", "written_at") if columns.get(name, name) not in table]
    if absent:
        return f"the key {absent[0]!r} is missing; found {', '.join(map(str, table)) or 'none'}; other names are set in reports.columns"
    return {field: table.get(columns.get(field, field)) for field in _FIELDS}
