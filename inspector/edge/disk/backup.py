"""Backup: a copy of the log as it was at one instant, safe beside a running daemon, checked before it gets its name."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inspector.edge.disk.soundness import check
from inspector.edge.sqlite_errors import as_log_error
from inspector.errors import LogError

_PAGES = 1000
"""Pages copied in one step: 4 MB."""
_PAUSE_S = 0.002
"""Pause between steps, which lets the daemon's own writes reach the disk."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A finished copy."""

    path: Path
    """Where it lies."""
    size_bytes: int
    """Its length."""
    verdicts: int
    """Inspections in it."""
    last_seq: int
    """The highest number given."""
    seconds: float
    """How long copying and checking took."""


def back_up(source: Path, target: Path, progress: Callable[[int, int], None] = lambda _done, _all: None) -> Backup:
    """Copy a log into the new file ``target``; ``progress`` hears pages done and pages in all. Raises ``LogError``.

    The copy gets its name only when it is whole, on the disk and found sound by an integrity check.
    """
    began = time.monotonic()
    _refuse(source, target)
    part = target.with_name(target.name + ".part")
    try:
        with as_log_error(target, "write the backup"):
            target.parent.mkdir(parents=True, exist_ok=True)
            part.unlink(missing_ok=True)
            verdicts, last_seq = _copy(source, part, progress)
        found = check(part)
        if found.verdict != "sound":
            raise LogError(
                f"{source}: its copy is damaged: {found.detail}; the log itself must be: stop the daemon and run `inspector log salvage`"
            )
        with as_log_error(target, "write the backup"):
            _sync(part)
            part.rename(target)
            _sync(target.parent)
    finally:
        part.unlink(missing_ok=True)
    return Backup(target, target.stat().st_size, verdicts, last_seq, time.monotonic() - began)


def _refuse(source: Path, target: Path) -> None:
    """Refuse to overwrite a file, and to begin what the disk has no room for."""
    if target.exists():
        raise LogError(f"{target}: is there already; a backup never replaces a file, name another one")
    place = next(folder for folder in target.absolute().parents if folder.exists())
    free, needed = shutil.disk_usage(place).free, source.stat().st_size
    if free < needed * 1.05 + 1_000_000:
        raise LogError(
            f"{target}: the copy needs {needed / 1e6:,.0f} MB, {place} has {free / 1e6:,.0f} MB free; name a file on another disk"
        )


def _copy(source: Path, part: Path, progress: Callable[[int, int], None]) -> tuple[int, int]:
    """Copy page by page; return the numbers of inspections and of the last one."""
    live = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0, isolation_level=None)
    copy = sqlite3.connect(part, isolation_level=None)
    try:
        # The read transaction pins one instant: without it every write of the daemon would make the copy begin again.
        live.execute("BEGIN")
        live.execute("SELECT count(*) FROM sqlite_master").fetchone()
        live.backup(copy, pages=_PAGES, sleep=_PAUSE_S, progress=lambda _status, left, total: progress(total - left, total))
        live.execute("ROLLBACK")
        copy.execute("PRAGMA journal_mode = DELETE").fetchall()  # one file, without a write-ahead log beside it
        verdicts = copy.execute("SELECT count(*) FROM inspections").fetchone()[0]
        last = copy.execute("SELECT coalesce(max(last_seq), 0) FROM sequences").fetchone()[0]
        return int(verdicts), int(last)
    finally:
        live.close()
        copy.close()


def _sync(path: Path) -> None:
    """Bring a file or a folder's names to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
