"""One daemon a station: two of them would use the same MQTT client id and throw each other out for ever."""

import fcntl
import os
from pathlib import Path

from inspector.errors import LogError


class StationLock:
    """A lock beside a station's log; the kernel frees it when the process ends, however it ends."""

    def __init__(self, database: Path) -> None:
        """Name the lock; ``acquire`` takes it."""
        self.path = database.with_name(database.name + ".lock")
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
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise LogError(
                f"{self.path}: another daemon of this station is running; stop it first, or give one of them another log.path"
            ) from None
        self._handle = handle

    def release(self) -> None:
        """Free the lock; the file stays."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
