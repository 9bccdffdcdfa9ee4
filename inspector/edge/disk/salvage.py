"""Salvage: what can be read of a damaged log, copied into a fresh one. The damaged file is only read.

Rows keep their numbers. A number is never given twice: the count goes on after the highest one seen in any table, in any waiting message
or in the station's life sign, and, where the counter itself is lost, far enough behind it that every lost row lies in the gap.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from inspector.core.inspection import Inspection
from inspector.edge.disk.readable import UNREADABLE, Reading
from inspector.edge.instants import from_text
from inspector.edge.outbox import Message, Outbox
from inspector.edge.rows import from_row
from inspector.edge.schema import open_database, transaction
from inspector.edge.sqlite_errors import as_log_error

_TABLES = (
    "sequences", "inspections", "findings", "reviews", "reviewed", "outbox", "reports", "report_vectors", "events", "remembered", "traces",
)  # fmt: skip
"""What is copied, in the order that references ask for."""
_BATCH = 500
"""Rows copied in one transaction."""
_UNSOUND = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
)
"""What a row of nonsense comes to."""
_LEAP = 10_000
"""Numbers left out where the counter is lost: more than a station gives between two life signs."""


@dataclass(slots=True)
class Rescue:
    """What was copied."""

    kept: dict[str, int] = field(default_factory=dict)
    """Rows copied, by table."""
    lost: dict[str, int] = field(default_factory=dict)
    """Rows at most that could not be read or are not sound, by table; tables without loss are left out."""
    last_seq: int = 0
    """The highest number that counts as given."""
    waiting: int = 0
    """Messages that wait in the new outbox."""
    is_seq_certain: bool = True
    """False if the counter was lost: numbers then go on after a leap."""

    def __str__(self) -> str:
        """Tell it in words."""
        lost = ", ".join(f"{count} of {table}" for table, count in self.lost.items())
        leap = "" if self.is_seq_certain else " (the counter was lost: a leap shows where rows may be missing)"
        return (
            f"{self.kept.get('inspections', 0)} verdicts and {self.waiting} waiting messages copied; lost at most: {lost or 'nothing'};"
            f" numbers go on after {self.last_seq}{leap}"
        )


def salvage(
    source: Path, target: Path, *, station: str, rebuild: Callable[[Inspection], Message] | None = None, known_seq: int = 0
) -> Rescue:
    """Copy what can be read of ``source`` into the new database ``target``. Raises ``LogError`` if that cannot be written.

    ``rebuild`` makes the message of a verdict again that was not published and whose message is lost; ``known_seq`` is the highest number
    of the station that is known from elsewhere.
    """
    with as_log_error(source, "read what is left of it"):
        damaged = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0, isolation_level=None)
    fresh = open_database(target)
    rescue = Rescue(last_seq=known_seq)
    try:
        with as_log_error(target, "copy what can be read"):
            whole = {table: _copy(damaged, fresh, table, rescue) for table in _TABLES}
            if rebuild is not None and not whole["outbox"]:
                _rebuild(fresh, rebuild, rescue)
            _go_on(damaged, fresh, station, rescue, is_certain=whole["sequences"])
            rescue.waiting = Outbox(fresh).depth()
            fresh.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        damaged.close()
        fresh.close()
    return rescue


def _copy(damaged: sqlite3.Connection, fresh: Database, table: str, rescue: Rescue) -> bool:
    """Copy one table; return whether every row of it was read."""
    columns = _columns(damaged, fresh, table)
    if not columns:  # an older log lacks the younger tables; of a log without a readable schema nothing can be asked
        return _has_schema(damaged)
    reading = Reading(damaged, table, columns, bound=rescue.last_seq if table == "inspections" else 0)
    kept, bad, rows = 0, 0, reading.rows()
    while batch := [dict(zip(columns, row[1:], strict=True)) for row in islice(rows, _BATCH)]:
        with transaction(fresh):
            for row in batch:
                if _take(fresh, table, row, rescue):
                    kept += 1
                else:
                    bad += 1
    rescue.kept[table] = kept
    if reading.lost + bad:
        rescue.lost[table] = reading.lost + bad
    return reading.is_whole and not bad


def _take(fresh: Database, table: str, row: dict[str, Any], rescue: Rescue) -> bool:
    """Insert one row if it is sound; note its number."""
    try:
        if table == "sequences":
            rescue.last_seq = max(rescue.last_seq, int(row["last_seq"]))
        elif table == "inspections":
            from_row({"calibration": None, **row}, ())
            rescue.last_seq = max(rescue.last_seq, int(row["seq"]))
        elif table == "outbox":
            rescue.last_seq = max(rescue.last_seq, _seq_of(row["payload"]))
            json.loads(row["properties"])
            from_text(row["queued_at"])
            if not _has(fresh, row["inspection_id"]):
                row["inspection_id"] = None  # the message is whole, and is sent; its row is not
        elif table == "events":
            from_text(row["occurred_at"])
        fresh.table(table).insert(row)
    except _UNSOUND:
        return False
    return True


def _columns(damaged: sqlite3.Connection, fresh: Database, table: str) -> list[str]:
    """Return the columns that both databases have, none if the damaged one has no such table or its schema cannot be read."""
    query = "SELECT name FROM pragma_table_info(?)"
    try:
        old = {name for (name,) in damaged.execute(query, (table,))}
    except UNREADABLE:
        return []
    return [name for (name,) in fresh.conn.execute(query, (table,)) if name in old]


def _has_schema(damaged: sqlite3.Connection) -> bool:
    """Return True if the damaged database can at least tell which tables it has."""
    try:
        return bool(damaged.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    except UNREADABLE:
        return False


def _has(fresh: Database, inspection_id: str | None) -> bool:
    """Return True if an inspection was copied."""
    return fresh.conn.execute("SELECT 1 FROM inspections WHERE inspection_id = ?", (inspection_id,)).fetchone() is not None


def _seq_of(payload: bytes) -> int:
    """Return the number that a waiting message tells, 0 if it is none about an inspection."""
    content = json.loads(payload)
    return int(content.get("seq") or 0) if isinstance(content, dict) else 0


def _rebuild(fresh: Database, rebuild: Callable[[Inspection], Message], rescue: Rescue) -> None:
    """Make the lost messages of verdicts again that were not published."""
    query = (
        "SELECT * FROM inspections AS i WHERE published_at IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.inspection_id = i.inspection_id) ORDER BY seq"
    )
    made = 0
    for rows in _batches(fresh.query(query)):
        with transaction(fresh):
            for row in rows:
                findings = fresh.query("SELECT * FROM findings WHERE inspection_id = ? ORDER BY finding_id", (row["inspection_id"],))
                Outbox(fresh).put(rebuild(from_row(row, findings)), row["inspection_id"])
                made += 1
    rescue.kept["outbox"] = rescue.kept.get("outbox", 0) + made


def _batches(rows: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return rows in batches; read first, because the same database is written meanwhile."""
    whole = list(rows)
    return [whole[start : start + _BATCH] for start in range(0, len(whole), _BATCH)]


def _go_on(damaged: sqlite3.Connection, fresh: Database, station: str, rescue: Rescue, *, is_certain: bool) -> None:
    """Let every counter go on where it stood, or far enough behind it."""
    rescue.is_seq_certain = is_certain
    rescue.last_seq += 0 if is_certain else _LEAP
    with transaction(fresh):
        query = (
            "INSERT INTO sequences (station, last_seq) VALUES (?, ?) ON CONFLICT DO UPDATE SET last_seq = max(last_seq, excluded.last_seq)"
        )
        if rescue.last_seq:
            fresh.conn.execute(query, (station, rescue.last_seq))
        for table, column in (("outbox", "row_id"), ("events", "event_id")):
            given = _given(damaged, table)
            seen = int(fresh.conn.execute(f"SELECT coalesce(max({column}), 0) FROM {table}").fetchone()[0])  # noqa: S608 - fixed names
            last = max(seen, given) if given is not None else seen + _LEAP
            fresh.conn.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            fresh.conn.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last))


def _given(damaged: sqlite3.Connection, table: str) -> int | None:
    """Return the last number that a table gave, None if that cannot be read."""
    try:
        row = damaged.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    except UNREADABLE:
        return None
    return int(row[0]) if row and isinstance(row[0], int) else 0
