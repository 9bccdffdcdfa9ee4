"""Recovery: a log that is damaged is set aside, never deleted, and what can be read of it goes on in a fresh one.

Each step leaves the folder in a state from which the next start can go on: the copy is made beside the damaged file, gets its final
name only when it is whole, and takes the log's place only after the damaged file has left it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from inspector.core.inspection import Inspection
from inspector.edge.disk.salvage import Rescue, salvage
from inspector.edge.disk.soundness import Soundness, check
from inspector.edge.instants import now
from inspector.edge.lock import StationLock
from inspector.edge.outbox import Message
from inspector.edge.sqlite_errors import as_log_error

CHECK_S = 10.0
"""How long the check at the start may take."""
_COMPANIONS = ("", "-wal", "-shm")
"""What belongs to one SQLite database."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """A log that was damaged."""

    reason: str
    """What was wrong with it."""
    aside: Path
    """Where the damaged file lies now."""
    rescue: Rescue | None
    """What was copied; None if an earlier start had copied it."""

    def __str__(self) -> str:
        """Tell it in words."""
        return (
            f"the log was damaged ({self.reason}); it lies in {self.aside}; {self.rescue or 'its rows had been copied by an earlier start'}"
        )


def suspect(path: Path) -> None:
    """Leave a mark that a damaged page was met: the next start checks the whole file, however long it takes."""
    with as_log_error(path, "mark it for a check"):
        _mark(path).touch()


def make_sound(
    path: Path,
    station: str,
    rebuild: Callable[[Inspection], Message] | None = None,
    *,
    known_seq: int = 0,
    limit_s: float | None = CHECK_S,
    before_long: Callable[[], None] = lambda: None,
) -> tuple[Soundness, Recovery | None]:
    """Check a station's log and recover it if it is damaged; no other daemon of the station may run. Raises ``LogError``.

    ``limit_s`` bounds the check, unless a damaged page was met before. ``before_long`` is called before what may take long.
    """
    lock = StationLock(path)
    lock.acquire()
    try:
        finished = _finish_earlier(path)
        if not path.exists() or path.stat().st_size == 0:
            return Soundness("sound", "", 0.0), finished
        limit_s = None if _mark(path).exists() else limit_s
        if limit_s is None:
            before_long()
        found = check(path, limit_s)
        if found.verdict != "damaged":
            if limit_s is None:
                _mark(path).unlink(missing_ok=True)
            return found, finished
        before_long()
        return found, _recover(path, station, rebuild, known_seq, found.detail)
    finally:
        lock.release()


def _recover(path: Path, station: str, rebuild: Callable[[Inspection], Message] | None, known_seq: int, reason: str) -> Recovery:
    """Copy what can be read, set the damaged file aside, put the copy in its place."""
    part, copy = _beside(path, ".salvage-part"), _beside(path, ".salvaged")
    _remove(part)
    rescue = salvage(path, part, station=station, rebuild=rebuild, known_seq=known_seq)
    with as_log_error(path, "set it aside"):
        for companion in _COMPANIONS[1:]:  # the copy was closed and its write-ahead log cut
            part.with_name(part.name + companion).unlink(missing_ok=True)
        part.rename(copy)
        aside = _set_aside(path, now())
        copy.rename(path)
        _mark(path).unlink(missing_ok=True)
    return Recovery(reason, aside, rescue)


def _finish_earlier(path: Path) -> Recovery | None:
    """Finish what a killed start had begun."""
    copy = _beside(path, ".salvaged")
    with as_log_error(path, "finish an earlier salvage"):
        _remove(_beside(path, ".salvage-part"))
        if not copy.exists():
            return None
        aside = _set_aside(path, now())
        copy.rename(path)
        _mark(path).unlink(missing_ok=True)
    return Recovery("found by an earlier start that did not end", aside, None)


def _set_aside(path: Path, instant: datetime) -> Path:
    """Rename a database and its companions, so that the time stands in the name; the main file goes first, or not at all."""
    aside = _beside(path, f".damaged-{instant:%Y%m%dT%H%M%S}-{instant.microsecond:06d}Z")
    for companion in _COMPANIONS:
        old = path.with_name(path.name + companion)
        if old.exists():
            old.rename(aside.with_name(aside.name + companion))
    return aside


def _mark(path: Path) -> Path:
    return _beside(path, ".suspect")


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _remove(path: Path) -> None:
    """Remove an unfinished copy."""
    for companion in _COMPANIONS:
        path.with_name(path.name + companion).unlink(missing_ok=True)
