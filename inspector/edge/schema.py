"""The log's database: tables, indexes, views and how it is opened.

Migrations are only ever appended. Each is applied in one transaction together with the record that it ran, so that a
power cut leaves a database either before or after it. One connection a thread: ``open_database`` is cheap.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from inspector.edge.at_rest import connect_to_look
from inspector.edge.instants import now, to_text
from inspector.edge.sqlite_errors import as_log_error
from inspector.edge.tables import CALIBRATION, NORMALITY, NOT_PASSED, REMEMBERED, REVIEWED, TRACE_PULLS, TRACES, tables
from inspector.edge.views import views
from inspector.errors import LogError

WAL_LIMIT_BYTES = 64_000_000
"""Length to which the write-ahead log falls back by itself once nothing of it is needed; a reader that keeps it longer is told."""

_LOCK_RETRY_S = 0.01
"""How often a lock is tried for which SQLite does not wait by itself."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    number: int
    """1, 2, 3, ... without gaps; the highest one is the database's version."""
    name: str
    """What it does, in a few words."""
    statements: tuple[str, ...]
    """SQL statements, executed in order."""


def migrations() -> tuple[Migration, ...]:
    """Return every migration, oldest first. Append here; never change or remove what has been shipped."""
    return (
        Migration(1, "tables of the log", tables()),
        Migration(2, "operators' views", tuple(f"CREATE VIEW {name} AS {query}" for name, query in views().items())),
        Migration(3, "what commands have set", (REMEMBERED,)),
        Migration(4, "what a verdict stands under", (CALIBRATION,)),
        Migration(5, "how unlike good parts", NORMALITY),
        Migration(6, "what verdicts looked at", (TRACES,)),
        Migration(7, "index of what did not pass", (NOT_PASSED,)),
        Migration(8, "reviews that people have signed", REVIEWED),
        Migration(9, "which way it pulled", TRACE_PULLS),
    )


def open_database(path: Path, *, read_only: bool = False, brief: bool = False, busy_timeout_ms: int = 5000) -> Database:
    """Open the log for the calling thread; create and migrate it first unless ``read_only``. ``brief``: to read, and let go at once.

    Raises ``LogError`` if it is of a newer version, not writable, locked, damaged or not a database.
    """
    with as_log_error(path, "open the log"):
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
        address, patience_s = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}", busy_timeout_ms / 1000
        # isolation_level None: transactions begin where this program says so and nowhere else.
        connection = (
            connect_to_look(path, patience_s) if brief else sqlite3.connect(address, uri=True, timeout=patience_s, isolation_level=None)
        )
    try:
        with as_log_error(path, "open the log"):
            database = Database(connection)
            _prepare(database, path, read_only=read_only or brief, patience_s=patience_s)
    except BaseException:
        connection.close()
        raise
    return database


@contextmanager
def transaction(database: Database) -> Iterator[None]:
    """Run the block in one transaction that takes the write lock at once: all of it or nothing.

    Taking the lock at the begin lets the busy timeout work; a transaction that reads first and writes later fails at once.
    """
    database.conn.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.conn.execute("COMMIT")
    except BaseException:
        if database.conn.in_transaction:
            database.conn.execute("ROLLBACK")
        raise


def version(database: Database) -> int:
    """Return the number of the newest migration that ran, 0 for an empty database."""
    if database.conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'migrations'").fetchone() is None:
        return 0
    return int(database.conn.execute("SELECT coalesce(max(number), 0) FROM migrations").fetchone()[0])


def _prepare(database: Database, path: Path, *, read_only: bool, patience_s: float) -> None:
    """Set the connection's modes, check the version and migrate."""
    connection = database.conn
    connection.execute("PRAGMA foreign_keys = ON")
    _check_version(database, path, exact=read_only)
    if read_only:
        return
    if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # has no effect once the first table exists
    _write_ahead(connection, patience_s)
    connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
    connection.execute("PRAGMA synchronous = FULL")  # a committed verdict survives a power cut
    for migration in migrations():
        if migration.number > version(database):
            _apply(database, migration)


def _write_ahead(connection: sqlite3.Connection, patience_s: float) -> None:
    """Switch to the write-ahead log; the switch takes an exclusive lock for which SQLite does not wait, so that is done here."""
    until_s = time.monotonic() + patience_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() >= until_s:
                raise
            time.sleep(_LOCK_RETRY_S)
        else:
            return


def _apply(database: Database, migration: Migration) -> None:
    """Apply one migration unless another process has just done so."""
    with transaction(database):
        if migration.number <= version(database):
            return
        for statement in migration.statements:
            database.conn.execute(statement)
        row = (migration.number, migration.name, to_text(now()))
        database.conn.execute("INSERT INTO migrations (number, name, applied_at) VALUES (?, ?, ?)", row)


def _check_version(database: Database, path: Path, *, exact: bool) -> None:
    """Refuse a database of a newer version, one of another program and, to read only, one of an older version."""
    found, known = version(database), migrations()[-1].number
    if found > known:
        raise LogError(
            f"{path}: the log has version {found}, this program knows versions up to {known};"
            " install the newer inspector, or set log.path to a new file"
        )
    # One statement: between two of them another process could migrate a new log.
    entries, own = database.conn.execute("SELECT count(*), total(name = 'migrations') FROM sqlite_master").fetchone()
    if entries and not own:
        raise LogError(f"{path}: this database belongs to another program (it has no table migrations); set log.path to another file")
    if exact and found < known:
        raise LogError(f"{path}: the log has version {found}, {known} is needed; start the daemon once, it brings the log up to date")
