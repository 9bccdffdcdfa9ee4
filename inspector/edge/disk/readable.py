"""The rows of a damaged table that can still be read: from the front, from the back, and one by one in between.

A look-up by row id reads only the pages on the way to that row, so a damaged page costs the rows that lie on it and no others.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Row: TypeAlias = tuple[Any, ...]
"""Row id, then the columns that were asked for."""
UNREADABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What reading a damaged file raises; the second one where SQLite's message quotes damaged text."""
_BLIND = 100_000
"""Row ids tried beyond the last one known, where nothing tells how many there were."""


@dataclass(slots=True)
class Reading:
    """Reads one table; afterwards it tells what could not be read."""

    connection: sqlite3.Connection
    """The damaged database, or a sound one."""
    table: str
    """Which table."""
    columns: Sequence[str]
    """Which of its columns."""
    bound: int = 0
    """Highest row id that other sources know of, 0: none."""
    lost: int = 0
    """Rows at most that are there and cannot be read."""
    is_whole: bool = field(default=False, init=False)
    """True once every row was read without a fault."""

    def rows(self) -> Iterator[Row]:
        """Yield every readable row once, in no certain order."""
        low = high = None
        try:
            for row in self._select("ORDER BY rowid"):
                low = row[0]
                yield row
        except UNREADABLE:
            pass  # the rest is looked for from the other end
        else:
            self.is_whole = True
            return
        try:
            for row in self._select("WHERE rowid > ? ORDER BY rowid DESC", low or 0):
                high = row[0]
                yield row
        except UNREADABLE:
            pass  # and between the two, one by one
        last = self._last_known(low or 0) if high is None else high - 1
        yield from self._one_by_one((low or 0) + 1, last)

    def _one_by_one(self, first: int, last: int) -> Iterator[Row]:
        for row_id in range(first, last + 1):
            try:
                found = self._select("WHERE rowid = ?", row_id).fetchone()
            except UNREADABLE:
                self.lost += 1
                continue
            if found is not None:
                yield found

    def _last_known(self, low: int) -> int:
        """Return the row id at which to stop looking when the table's end cannot be read."""
        return max(self._bound_by_indexes(), self.bound) or low + _BLIND

    def _bound_by_indexes(self) -> int:
        """Return the highest row id that the table's indexes know of, 0 if none can be read: an index has pages of its own."""
        highest = 0
        for name in self._indexes():
            query = f"SELECT max(rowid) FROM (SELECT rowid FROM {self.table} INDEXED BY {name})"  # noqa: S608 - names from the schema
            try:
                highest = max(highest, int(self.connection.execute(query).fetchone()[0] or 0))
            except UNREADABLE:
                continue
        return highest

    def _indexes(self) -> list[str]:
        """Return the table's indexes that hold all of its rows."""
        query = "SELECT name FROM pragma_index_list(?) WHERE partial = 0"
        try:
            return [f'"{name}"' for (name,) in self.connection.execute(query, (self.table,))]
        except UNREADABLE:
            return []

    def _select(self, condition: str, *values: object) -> sqlite3.Cursor:
        names = ", ".join(self.columns)
        return self.connection.execute(f"SELECT rowid, {names} FROM {self.table} {condition}", values)  # noqa: S608 - names from the schema
