"""Retention: pictures go first, then published verdicts after ``keep_days``; what is not yet published never goes.

``choose`` is the choice, ``sweep`` carries it out once, ``retain`` does so until told to stop.
"""

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlite_utils import Database

from inspector.edge.instants import from_text, now, to_text
from inspector.edge.schema import open_database, transaction
from inspector.edge.sqlite_errors import as_log_error
from inspector.errors import LogError
from inspector.settings import LogSection


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A kept picture."""

    inspection_id: str
    """The inspection it belongs to."""
    path: Path
    """Where it lies."""
    inspected_at: datetime
    """When it was judged, UTC."""
    size_bytes: int
    """Length of the file; 0 if it is gone."""


def choose(images: Sequence[StoredImage], rules: LogSection, free_bytes: int, instant: datetime) -> list[StoredImage]:
    """Return the pictures to remove: the too old ones, then, while the disk lacks space, the oldest of the others."""
    oldest_first = sorted(images, key=lambda image: image.inspected_at)
    cutoff = instant - timedelta(days=rules.keep_image_days)
    lacking = rules.min_free_bytes - free_bytes
    chosen = []
    for image in oldest_first:
        if image.inspected_at >= cutoff and lacking <= 0:
            break
        chosen.append(image)
        lacking -= image.size_bytes
    return chosen


def sweep(path: Path, rules: LogSection, instant: datetime, *, free_bytes: int | None = None, batch: int = 500) -> tuple[int, int]:
    """Remove what has served its time; return the numbers of removed pictures and verdicts. Raises ``LogError``.

    Relative image paths are taken from the database's folder. ``free_bytes`` None: ask the disk.
    """
    free = shutil.disk_usage(path.parent).free if free_bytes is None else free_bytes
    database = open_database(path)
    try:
        with as_log_error(path, "remove old pictures"):
            images = choose(_stored_images(database, path.parent), rules, free, instant)
            for start in range(0, len(images), batch):
                _remove_images(database, images[start : start + batch])
        with as_log_error(path, "remove old verdicts"):
            rows = _remove_verdicts(database, instant - timedelta(days=rules.keep_days), batch)
            _shrink(database)
    finally:
        database.close()
    return len(images), rows


def retain(
    path: Path, rules: LogSection, stop: threading.Event, on_fault: Callable[[str | None], None], *, period_s: float = 600.0
) -> None:
    """Sweep every ``period_s`` until ``stop`` is set: the body of a thread.

    ``on_fault`` hears the message when sweeping begins to fail, and None when it works again.
    """
    fault: str | None = None
    while True:
        try:
            sweep(path, rules, now())
            heard = None
        except LogError as error:
            heard = str(error)
        if (heard is None) != (fault is None):
            on_fault(heard)
        fault = heard
        if stop.wait(period_s):
            return


def _stored_images(database: Database, folder: Path) -> list[StoredImage]:
    """Return every picture that the log knows of."""
    query = "SELECT inspection_id, image_path, inspected_at FROM inspections WHERE image_path IS NOT NULL ORDER BY inspected_at"
    rows = database.conn.execute(query).fetchall()
    return [StoredImage(row[0], folder / row[1], from_text(row[2]), _size(folder / row[1])) for row in rows]


def _size(path: Path) -> int:
    """Return a file's length in bytes, 0 if it is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _remove_images(database: Database, images: Sequence[StoredImage]) -> None:
    """Remove files, then their paths from the log: after a crash in between the next sweep finishes the work."""
    for image in images:
        image.path.unlink(missing_ok=True)
    with transaction(database):
        query = "UPDATE inspections SET image_path = NULL WHERE inspection_id = ?"
        database.conn.executemany(query, [(image.inspection_id,) for image in images])


def _remove_verdicts(database: Database, cutoff: datetime, batch: int) -> int:
    """Remove verdicts older than ``cutoff`` that do not wait in the outbox and keep no picture, some at a time."""
    query = (
        "DELETE FROM inspections WHERE rowid IN (SELECT i.rowid FROM inspections AS i WHERE i.inspected_at < ? AND i.image_path IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.inspection_id = i.inspection_id) ORDER BY i.inspected_at LIMIT ?)"
    )
    total = 0
    while True:
        with transaction(database):
            removed = database.conn.execute(query, (to_text(cutoff), batch)).rowcount
        total += removed
        if removed < batch:
            return total
        time.sleep(0.005)  # lets the frame loop's own transaction in


def _shrink(database: Database) -> None:
    """Give freed pages back to the disk, and cut the write-ahead log."""
    # executescript runs the pragma to its end; execute would step it once and free a single page.
    database.conn.executescript("PRAGMA incremental_vacuum(2000);")
    database.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
