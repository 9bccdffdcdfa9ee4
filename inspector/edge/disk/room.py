"""Room on a full disk: the reserve is given up, what has served its time goes, and the reserve is taken again, or the station stops.

A verdict is written only while the reserve is held. So the last free bytes are never spent on judging: they stay for clearing up, for
closing published messages and for the words that tell why the station stopped.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from inspector.edge.disk.reserve import Reserve
from inspector.edge.instants import now
from inspector.edge.retention import Swept, sweep
from inspector.errors import DiskFull
from inspector.settings import LogSection

_LEAST_BYTES = 8_000_000
"""What must be free beside the reserve after clearing up, as far as there are pictures to remove."""

_WORTH_BYTES = 4_000_000
"""What must be free beside the reserve before judging goes on: about the length of a write-ahead log."""


@dataclass(frozen=True, slots=True)
class Room:
    """What can be done about a full disk."""

    database: Path
    """The log."""
    rules: LogSection
    """What is kept, and how long."""
    reserve: Reserve
    """Space held back."""

    def secure(self) -> Swept | None:
        """Take the reserve, clearing up first if there is no room for it; return what was removed. Raises ``DiskFull``."""
        return None if self.reserve.is_held or self._take() else self.make()

    def make(self) -> Swept:
        """Clear up with the reserve's own space; return what was removed. Raises ``DiskFull`` if that does not make room again.

        Without a reserve there is no telling whether there is room: the next write will show.
        """
        self.reserve.give_up()
        rules = self.rules.model_copy(update={"min_free_bytes": 2 * self.reserve.size_bytes + _LEAST_BYTES})
        try:
            swept = sweep(self.database, rules, now())
        except DiskFull as error:
            raise self._nothing_left() from error
        if self._take():
            return swept
        raise self._nothing_left()

    def _take(self) -> bool:
        """Take the reserve, if so much room is left beside it that judging is worth while."""
        if not self.reserve.take():
            return False
        if self.reserve.size_bytes == 0 or shutil.disk_usage(self.database.parent).free >= _WORTH_BYTES:
            return True
        self.reserve.give_up()
        return False

    def _nothing_left(self) -> DiskFull:
        """Say why the station must stop, and what to do."""
        return DiskFull(
            f"{self.database}: the disk is full and nothing is left that may go: no pictures, no published verdicts older than"
            f" log.keep_days = {self.rules.keep_days}; what is not published is kept. Nothing is judged that cannot be logged."
            f" Free {self.reserve.size_bytes / 1e6:,.0f} MB or more, or set log.path to another disk, then start again"
        )
