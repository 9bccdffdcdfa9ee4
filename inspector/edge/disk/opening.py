"""Opening the daemon's log: made sound if it is damaged, with space held back for a full disk.

A damaged page that is met later leaves a mark, so that the next start checks the whole file and sets it aside.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inspector.core.inspection import Inspection
from inspector.edge.disk.recovery import make_sound, suspect
from inspector.edge.disk.reserve import Reserve
from inspector.edge.disk.room import Room
from inspector.edge.log import Log
from inspector.edge.outbox import Message
from inspector.errors import LogDamaged
from inspector.settings import LogSection


@dataclass(frozen=True, slots=True)
class OpenLog:
    """A log that may be written."""

    log: Log
    """The log, for the thread that opened it."""
    room: Room
    """What can be done when its disk is full."""
    told: tuple[tuple[str, str], ...]
    """Events (kind, detail) of the opening, still to be logged."""


@contextmanager
def open_for_writing(
    path: Path,
    station: str,
    rules: LogSection,
    rebuild: Callable[[Inspection], Message] | None,
    before_long: Callable[[], None] = lambda: None,
) -> Iterator[OpenLog]:
    """Open a station's log. Raises ``LogError``: ``DiskFull`` if nothing can go to make room.

    ``rebuild`` makes the lost message of a rescued verdict again, None where nothing is published; ``before_long`` is called before what
    may take long.
    """
    recovery = make_sound(path, station, rebuild, before_long=before_long)[1]
    room = Room(path, rules, Reserve(path, rules.reserve_bytes))
    swept = room.secure()
    told = [("log-recovered", str(recovery))] if recovery is not None else []
    told += [("disk-cleared", str(swept))] if swept is not None else []
    try:
        with Log(path, station) as log:
            yield OpenLog(log, room, tuple(told))
    except LogDamaged:
        suspect(path)
        raise
