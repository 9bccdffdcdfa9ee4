"""Retention: pictures go first, then published verdicts after ``keep_days``; what is not yet published never goes.

``choose`` is the choice, ``sweep`` carries it out once, ``retain`` does so until told to stop and watches disk and write-ahead log.
"""

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlite_utils import Database

from inspector.edge.disk.checkpoint import Checkpoint, cut
from inspector.edge.instants import from_text, now, to_text
from inspector.edge.pictures import heat_maps_of
from inspector.edge.schema import open_database, transaction
from inspector.edge.sqlite_errors import as_log_error
from inspector.errors import LogError
from inspector.settings import LogSection

_BATCH = 500
"""Rows or pictures removed in one transaction: few enough that the frame loop never waits for long."""
_LOOK_S = 10.0
"""How often the loop looks at the free space."""


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
    """Length of the file and of its heat maps; 0 if they are gone."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep came to."""

    images: int
    """Pictures removed."""
    verdicts: int
    """Verdicts removed."""
    free_bytes: int
    """Free space of the disk afterwards."""
    checkpoint: Checkpoint
    """What became of the write-ahead log."""

    def __str__(self) -> str:
        """Tell it in words."""
        return f"{self.images} pictures and {self.verdicts} published verdicts removed; {self.free_bytes / 1e6:,.0f} MB free"

    def mistakes(self, rules: LogSection) -> dict[str, str]:
        """Return what is wrong although the sweep did what it may do: kind of fault and its detail."""
        found = {}
        if self.free_bytes < rules.min_free_bytes:
            found["disk-low"] = (
                f"{self.free_bytes / 1e6:,.0f} MB free, log.min_free_bytes asks for {rules.min_free_bytes / 1e6:,.0f} MB, and no picture is"
                " left that may go; free space or set log.path to another disk"
            )
        if self.checkpoint.is_too_long:
            found["wal-held"] = (
                f"a reader keeps the write-ahead log from being cut: it has {self.checkpoint.wal_bytes / 1e6:,.0f} MB and grows; end the"
                " program that reads the log for so long (to find it: fuser FILE)"
            )
        return found


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


def sweep(
    path: Path,
    rules: LogSection,
    instant: datetime,
    *,
    free_bytes: int | None = None,
    batch: int = _BATCH,
    beat: Callable[[], None] = lambda: None,
) -> Swept:
    """Remove what has served its time and cut the write-ahead log. Raises ``LogError``.

    Relative image paths are taken from the database's folder. ``free_bytes`` None: ask the disk.
    ``beat`` is called before each step: a sweep may take long, a step may not.
    """
    database = open_database(path)
    try:
        with as_log_error(path, "remove old pictures"):
            free = _free(path) if free_bytes is None else free_bytes
            images = _remove_images(database, path.parent, rules, free, instant, batch, beat)
        with as_log_error(path, "remove old verdicts"):
            rows = _remove_verdicts(database, instant - timedelta(days=rules.keep_days), batch, beat)
            beat()
            # executescript runs the pragma to its end; execute would step it once and free a single page.
            database.conn.executescript("PRAGMA incremental_vacuum(2000);")
            beat()
            checkpoint = cut(database, path)
            return Swept(images, rows, _free(path) if free_bytes is None else free_bytes, checkpoint)
    finally:
        database.close()


def retain(
    path: Path,
    rules: LogSection,
    stop: threading.Event,
    on_fault: Callable[[str, str | None], None],
    *,
    period_s: float = 600.0,
    look_s: float = _LOOK_S,
    beat: Callable[[], None] = lambda: None,
) -> None:
    """Sweep every ``period_s``, and whenever the disk lacks space, until ``stop`` is set: the body of a thread.

    ``on_fault`` hears kind and message when a fault begins, kind and None when it ends; ``beat`` is called before each step.
    """
    faults: dict[str, str] = {}
    due_s = time.monotonic()
    while True:
        beat()
        try:
            if time.monotonic() >= due_s or faults or _free(path) < rules.min_free_bytes:
                found = sweep(path, rules, now(), beat=beat).mistakes(rules)
                due_s = time.monotonic() + period_s
            else:
                found = {}
        except LogError as error:
            found = {"retention-failed": str(error)}
        for kind in [*found, *(kind for kind in faults if kind not in found)]:
            if kind not in found or kind not in faults:
                on_fault(kind, found.get(kind))
        faults = found
        if stop.wait(min(look_s, period_s)):
            return


def _free(path: Path) -> int:
    """Return the free space of the log's disk, bytes. Raises ``LogError``."""
    with as_log_error(path, "look at the free space of its disk"):
        return shutil.disk_usage(path.parent).free


def _remove_images(
    database: Database, folder: Path, rules: LogSection, free_bytes: int, instant: datetime, batch: int, beat: Callable[[], None]
) -> int:
    """Remove pictures, oldest first, some at a time; return how many."""
    query = "SELECT inspection_id, image_path, inspected_at FROM inspections WHERE image_path IS NOT NULL ORDER BY inspected_at LIMIT ?"
    removed = 0
    while True:
        beat()
        rows = database.conn.execute(query, (batch,)).fetchall()
        images = [StoredImage(row[0], folder / row[1], from_text(row[2]), _size(folder / row[1])) for row in rows]
        chosen = choose(images, rules, free_bytes, instant)
        _forget_images(database, chosen, beat)
        removed += len(chosen)
        free_bytes += sum(image.size_bytes for image in chosen)
        if len(chosen) < batch:
            return removed


def _forget_images(database: Database, images: Sequence[StoredImage], beat: Callable[[], None]) -> None:
    """Remove files, then their paths from the log: after a crash in between the next sweep finishes the work."""
    for image in images:
        beat()
        for path in (image.path, *heat_maps_of(image.path)):
            path.unlink(missing_ok=True)
    if not images:
        return
    with transaction(database):
        query = "UPDATE inspections SET image_path = NULL WHERE inspection_id = ?"
        database.conn.executemany(query, [(image.inspection_id,) for image in images])


def _size(path: Path) -> int:
    """Return the length in bytes of a picture with its heat maps; what is gone counts nothing."""
    length = 0
    for file in (path, *heat_maps_of(path)):
        with suppress(FileNotFoundError):
            length += file.stat().st_size
    return length


def _remove_verdicts(database: Database, cutoff: datetime, batch: int, beat: Callable[[], None]) -> int:
    """Remove verdicts older than ``cutoff`` that do not wait in the outbox and keep no picture, some at a time."""
    stations = [row[0] for row in database.conn.execute("SELECT station FROM sequences").fetchall()]
    return sum(_remove_verdicts_of(database, station, to_text(cutoff), batch, beat) for station in stations)


def _remove_verdicts_of(database: Database, station: str, cutoff: str, batch: int, beat: Callable[[], None]) -> int:
    """Remove one station's; what may go is looked for outside the transaction, which keeps the frame loop out."""
    query = (
        "SELECT i.inspection_id FROM inspections AS i WHERE i.station = ? AND i.inspected_at < ? AND i.image_path IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.inspection_id = i.inspection_id) ORDER BY i.inspected_at LIMIT ?"
    )
    total = 0
    while True:
        beat()
        chosen = database.conn.execute(query, (station, cutoff, batch)).fetchall()
        if chosen:
            with transaction(database):  # a row never enters the outbox later than its inspection enters the log
                database.conn.executemany("DELETE FROM inspections WHERE inspection_id = ?", chosen)
        total += len(chosen)
        if len(chosen) < batch:
            return total
        time.sleep(0.005)  # lets the frame loop's own transaction in
