"""The reserve: a file beside the log that holds disk space back, to be given up when the disk is full.

On a full disk SQLite can neither delete rows nor cut its write-ahead log, because both write first. What the reserve held is then
enough to clear up, to close published messages and to log why the station stops.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path

from inspector.errors import LogError


class Reserve:
    """The reserve of one log; ``size_bytes`` 0 holds none."""

    def __init__(self, database: Path, size_bytes: int) -> None:
        """Name the file; ``take`` makes it."""
        self.path = database.with_name(database.name + ".reserve")
        self.size_bytes = size_bytes

    @property
    def is_held(self) -> bool:
        """True while the space is held back, and where none is wanted."""
        return self._length() == self.size_bytes

    def take(self) -> bool:
        """Hold the space back; return False, and leave nothing behind, if the disk has no room for it. Raises ``LogError``."""
        if self.is_held:
            return True
        if self.size_bytes == 0:
            self.give_up()
            return True
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._removed()
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            try:
                os.posix_fallocate(handle, 0, self.size_bytes)
            finally:
                os.close(handle)
        except OSError as error:
            self.give_up()
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                return False
            raise LogError(
                f"{self.path}: cannot hold back log.reserve_bytes = {self.size_bytes}: {error.strerror}; the daemon's user must be able to"
                " write this folder, or set log.reserve_bytes = 0"
            ) from error
        return True

    def give_up(self) -> bool:
        """Give the space back to the disk; return whether any was held."""
        had = self._length() > 0
        try:
            self._removed()
        except OSError as error:
            raise LogError(f"{self.path}: cannot be removed: {error.strerror}; remove it by hand") from error
        return had

    def _length(self) -> int:
        """Return the file's length in bytes, 0 if there is none."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def _removed(self) -> None:
        """Remove the file, which may not be there. Raises ``OSError``."""
        with suppress(FileNotFoundError, NotADirectoryError):
            self.path.unlink()
