"""Which files of a watched folder are new, and which of those may be read: a file that is still being written must wait.

A file is known by name, size and time of writing, so that one that is overwritten counts as new. JPEG, PNG and WebP files say themselves
whether their end is there, so they are tried at once and, if they do not decode, again after ``PATIENCE_S`` without a change. The others
may look complete while they are copied (Windows sets the length first), so they are tried after ``SETTLE_S`` without a change.
"""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".tif", ".tiff", ".webp"})
"""Files that are taken for pictures; hidden files and all others are passed over."""
SETTLE_S = 0.5
"""How long a file without a closing marker must lie unchanged."""
PATIENCE_S = 2.0
"""How long a file that does not decode must lie unchanged until it counts as damaged."""
_CLOSED = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp"})


@dataclass(frozen=True, slots=True)
class Stamp:
    """One state of a file."""

    mtime_ns: int
    """When it was last written, nanoseconds since the Unix epoch."""
    length_bytes: int
    """Its length."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file that may be read now."""

    name: str
    """Its name in the folder."""
    stamp: Stamp
    """The state in which it was found."""
    last_try: bool
    """True if it has lain long enough: what does not decode now is damaged."""


def list_pictures(folder: Path) -> dict[str, Stamp]:
    """Return the picture files in a folder, not below it. Raises ``OSError`` if the folder cannot be listed."""
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or os.path.splitext(entry.name)[1].lower() not in SUFFIXES:  # noqa: PTH122 - 100,000 files
                continue
            try:
                status = entry.stat()
            except FileNotFoundError:  # gone since it was listed
                continue
            if stat.S_ISREG(status.st_mode):
                found[entry.name] = Stamp(status.st_mtime_ns, status.st_size)
    return found


def natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Return a sort key by which ``part2`` stands before ``part10``."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part], name


class Arrivals:
    """Remembers a folder's files from one look to the next. Pure: the caller lists the folder and reads the clock."""

    def __init__(self, known: Mapping[str, Stamp] | None = None) -> None:
        """Take the files that need not be delivered any more."""
        self._known = dict(known or {})
        self._waiting: dict[str, tuple[Stamp, float]] = {}
        self._tried: set[str] = set()

    def look(self, listing: Mapping[str, Stamp], now_s: float) -> list[Arrival]:
        """Compare the folder with the last look; return what may be read, oldest first."""
        self._known = {name: stamp for name, stamp in self._known.items() if name in listing}
        fresh = {name: stamp for name, stamp in listing.items() if self._known.get(name) != stamp}
        before, self._waiting = self._waiting, {}
        for name, stamp in fresh.items():
            unchanged = name in before and before[name][0] == stamp
            self._waiting[name] = before[name] if unchanged else (stamp, now_s)
            if not unchanged:
                self._tried.discard(name)
        self._tried &= self._waiting.keys()
        found = [arrival for name in self._waiting if (arrival := self._arrival(name, now_s))]
        return sorted(found, key=lambda arrival: (arrival.stamp.mtime_ns, natural(arrival.name)))

    def delivered(self, arrival: Arrival) -> None:
        """Note that a file was handed on, as a picture or as a fault."""
        self._known[arrival.name] = arrival.stamp
        self._waiting.pop(arrival.name, None)
        self._tried.discard(arrival.name)

    def unfinished(self, arrival: Arrival) -> None:
        """Note that a file does not decode yet."""
        self._tried.add(arrival.name)

    def _arrival(self, name: str, now_s: float) -> Arrival | None:
        stamp, since_s = self._waiting[name]
        quiet_s = now_s - since_s
        settle_s = 0.0 if os.path.splitext(name)[1].lower() in _CLOSED else SETTLE_S  # noqa: PTH122 - as in list_pictures
        if quiet_s < settle_s or (name in self._tried and quiet_s < PATIENCE_S):
            return None
        return Arrival(name, stamp, quiet_s >= PATIENCE_S)
