"""The write-ahead log kept short: cut when no reader needs it, told when one holds it for long.

A reader sees the database as it was when it began; until it ends, nothing of the write-ahead log can be reused and the file grows.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from inspector.edge.schema import WAL_LIMIT_BYTES

_PATIENCE_MS = 20
"""How long a checkpoint may hold up the frame loop's own writes while it waits for readers."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint came to."""

    is_blocked: bool
    """True if a reader or writer kept the file from being cut."""
    wal_bytes: int
    """Length of the write-ahead log afterwards."""

    @property
    def is_too_long(self) -> bool:
        """True if a reader holds a long file: it would grow until the disk is full."""
        return self.is_blocked and self.wal_bytes > WAL_LIMIT_BYTES


def wal_bytes(path: Path) -> int:
    """Return the length of a database's write-ahead log, bytes; 0 if there is none."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size
    except OSError:
        return 0


def cut(database: Database, path: Path) -> Checkpoint:
    """Copy the write-ahead log into the database and cut the file to nothing, unless a reader is in the way. SQLite errors pass through.

    TRUNCATE keeps writers out while it waits for readers, so its patience is short; what could be copied is copied all the same.
    """
    execute = database.conn.execute
    execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()  # keeps nobody out, and leaves little for the one that does
    patience_ms = int(execute("PRAGMA busy_timeout").fetchone()[0])
    execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
    try:
        blocked = execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    finally:
        execute(f"PRAGMA busy_timeout = {patience_ms}")
    return Checkpoint(bool(blocked), wal_bytes(path))
