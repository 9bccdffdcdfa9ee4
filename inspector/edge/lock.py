"""One daemon a station: two of them would use the same MQTT client id and throw each other out for ever.

The lock also tells from outside whether a daemon runs, and what it holds, how far its start has come.
"""

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path

from inspector.edge.sqlite_errors import as_log_error
from inspector.errors import LogError

_PATIENCE_S = 0.5
"""How long a lock is tried for: whoever only looks at it holds it for an instant."""
_RETRY_S = 0.02


def lock_path(database: Path) -> Path:
    """Return where the lock of a log lies."""
    return database.with_name(database.name + ".lock")


class StationLock:
    """A lock beside a station's log; the kernel frees it when the process ends, however it ends."""

    def __init__(self, database: Path) -> None:
        """Name the lock; ``acquire`` takes it."""
        self.path = lock_path(database)
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock. Raises ``LogError`` if another daemon holds it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise LogError(
                f"{self.path}: cannot be opened ({error.strerror}); the daemon's user must be able to write this folder"
            ) from error
        until_s = time.monotonic() + _PATIENCE_S
        while not _locked(handle, fcntl.LOCK_EX):
            if time.monotonic() >= until_s:
                os.close(handle)
                raise LogError(
                    f"{self.path}: another daemon of this station is running; stop it first, or give one of them another log.path"
                )
            time.sleep(_RETRY_S)
        os.ftruncate(handle, 0)
        self._handle = handle

    def release(self) -> None:
        """Free the lock; the file stays."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


@dataclass(frozen=True, slots=True)
class Holder:
    """What the lock tells from outside."""

    is_there: bool
    """True while a daemon holds the lock."""
    after_event: int | None
    """The daemon has started, and its events have greater numbers than this one; None before that."""

    @property
    def is_starting(self) -> bool:
        """True while a daemon is on its way, or somebody salvages the log."""
        return self.is_there and self.after_event is None


def mark_started(database: Path, after_event: int) -> None:
    """Note in the lock, which this process holds, that the start is over. Raises ``LogError``."""
    path = lock_path(database)
    with as_log_error(path, "note that the station has started"):
        path.write_text(f"{after_event}\n", encoding="ascii")


def look_at_lock(database: Path) -> Holder:
    """Look whether a daemon runs; it is not disturbed. Raises ``LogError`` if this user may not look."""
    path = lock_path(database)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return Holder(is_there=False, after_event=None)
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror}); join the group that owns it, or look as the daemon's user") from error
    try:
        is_free = _locked(handle, fcntl.LOCK_SH)
        if is_free:
            fcntl.flock(handle, fcntl.LOCK_UN)
        text = os.read(handle, 32).decode("ascii", "replace").strip()
    finally:
        os.close(handle)
    return Holder(not is_free, int(text) if text.isdecimal() else None)


def _locked(handle: int, how: int) -> bool:
    """Take a lock on an open file if it is free; return whether it was."""
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
