"""Is a database sound? SQLite's own quick check, with a bound on its time: a big file must not keep a line from starting.

The check reads every page and tells a damaged structure; a page whose numbers were changed without harm to its structure cannot be
told, because SQLite keeps no checksums. What the bound left unread is found when it is read: the daemon then stops, leaves a mark, and
the next start checks without a bound.
"""

import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from inspector.edge.sqlite_errors import as_log_error
from inspector.errors import LogDamaged


@dataclass(frozen=True, slots=True)
class Soundness:
    """What a check found."""

    verdict: Literal["sound", "damaged", "unfinished"]
    """unfinished: nothing wrong so far, and the time was over."""
    detail: str
    """What is wrong; empty if nothing is known to be."""
    seconds: float
    """How long it took."""


def check(path: Path, limit_s: float | None = None) -> Soundness:
    """Check a database file, for ``limit_s`` at most. Raises ``LogError`` if it cannot be opened at all."""
    began = time.monotonic()
    try:
        with as_log_error(path, "check it"):
            found = _quick_check(path, limit_s)
    except LogDamaged as error:
        return Soundness("damaged", str(error.__cause__ or error), time.monotonic() - began)
    seconds = time.monotonic() - began
    if found is None:
        return Soundness("unfinished", "", seconds)
    return Soundness("sound", "", seconds) if found == ["ok"] else Soundness("damaged", "; ".join(found[:3]), seconds)


def _quick_check(path: Path, limit_s: float | None) -> list[str] | None:
    """Return SQLite's findings, None if the time was over. SQLite errors pass through."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5.0, isolation_level=None)
    # The progress handler is not called inside this check in SQLite 3.40; an interrupt from another thread is heard at every page.
    timer = threading.Timer(limit_s, connection.interrupt) if limit_s is not None else None
    try:
        if timer is not None:
            timer.start()
        return [" ".join(str(row[0]).split()) for row in connection.execute("PRAGMA quick_check(20)")]
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_INTERRUPT":
            return None
        raise
    finally:
        if timer is not None:
            timer.cancel()
            timer.join()
        connection.close()
