"""SQLite's failures in words: which file, what failed, what to do."""

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inspector.errors import DiskFull, LogDamaged, LogError

_NO_ROOM_BYTES = 65_536
"""With less free space than this a failed write is a full disk, whatever SQLite calls it."""
_UNKNOWN_FORMAT = "unsupported file format"
"""What SQLite says of a header whose schema format it does not know, under the name of any error; no SQLite writes such a one."""


def advice(errorname: str) -> str:
    """Return what to do about an SQLite error, given its name such as ``SQLITE_BUSY_SNAPSHOT``."""
    table = {
        "SQLITE_FULL": "the disk is full: free space on it (pictures first) or set log.path to another disk, then start again",
        "SQLITE_BUSY": "another program holds it locked: end that program (to find it: fuser FILE), then try again",
        "SQLITE_LOCKED": "another program holds it locked: end that program (to find it: fuser FILE), then try again",
        "SQLITE_READONLY": "it may not be written: give the daemon's user write permission for file and folder, or remount the disk",
        "SQLITE_PERM": "access is denied: give the daemon's user read and write permission for the file and its folder",
        "SQLITE_AUTH": "access is denied: give the daemon's user read and write permission for the file and its folder",
        "SQLITE_CANTOPEN": "it cannot be opened: the path must be a file in a folder that exists and that the daemon's user may write",
        "SQLITE_CORRUPT": "it is damaged: start the daemon again, or run `inspector log salvage STATION`: the file is set aside and what"
        " can be read is copied into a new one; check the disk",
        "SQLITE_NOTADB": "it is not an SQLite database: set log.path to another file; if it was the log, run `inspector log salvage"
        " STATION`",
        "SQLITE_IOERR": "the disk does not answer properly: check its cable, its health (smartctl) and the kernel's messages (dmesg)",
    }
    return next((text for name, text in table.items() if errorname.startswith(name)), "see the message; the file is unchanged")


@contextmanager
def as_log_error(path: Path, action: str) -> Iterator[None]:
    """Turn an SQLite or file failure inside the block into a ``LogError`` that names file, action and cure."""
    try:
        yield
    except sqlite3.ProgrammingError:  # a mistake in this program, such as a connection used from a second thread
        raise
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        if str(error) == _UNKNOWN_FORMAT:
            name = "SQLITE_CORRUPT"
        kind = _kind(name, path)
        raise kind(f"{path}: cannot {action}: {error}; {advice('SQLITE_FULL' if kind is DiskFull else name)}") from error
    except UnicodeDecodeError as error:  # SQLite's own message may quote what is damaged
        raise LogDamaged(f"{path}: cannot {action}: text in it is damaged; {advice('SQLITE_CORRUPT')}") from error
    except OSError as error:
        kind = DiskFull if error.errno in {errno.ENOSPC, errno.EDQUOT} else LogError
        raise kind(f"{path}: cannot {action}: {error.strerror or error}; check the path and its permissions") from error


def _kind(errorname: str, path: Path) -> type[LogError]:
    """Return which error it is: a full disk and a damaged file can be dealt with."""
    if errorname.startswith("SQLITE_FULL") or (errorname.startswith("SQLITE_IOERR") and _is_full(path)):
        return DiskFull
    return LogDamaged if errorname.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) else LogError


def _is_full(path: Path) -> bool:
    """Return True if the disk has no room: SQLite calls it an input/output error when its shared memory cannot grow."""
    try:
        return shutil.disk_usage(path.parent).free < _NO_ROOM_BYTES
    except OSError:
        return False
