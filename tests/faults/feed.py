"""The feed: the daemon's own verdicts, read from its log as they are committed, one JSON line each, for the stand-ins. Also their count."""

import threading
from pathlib import Path

from inspector.edge.log import Log
from inspector.edge.messages import result_message
from inspector.edge.topics import Topics
from inspector.errors import LogError
from tests.faults.account import Verdicts

_LOOK_EVERY_S = 0.05


class Feed:
    """Follows one station's log in a thread of its own."""

    def __init__(self, database: Path, topics: Topics, path: Path) -> None:
        """Follow ``database`` into the file ``path``."""
        self.count = 0
        """The last number seen in the log."""
        self.error: str | None = None
        """Why the last look failed, or None."""
        self._database, self._topics, self._path = database, topics, path
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="feed", daemon=True)
        path.touch()
        self._thread.start()

    def close(self) -> None:
        """Stop following; what is in the log by now is still fed."""
        self._stop.set()
        self._thread.join(30)
        self._look(read_only=False)

    def made(self) -> Verdicts:
        """Return what stands in the log."""
        with Log(self._database, self._topics.station) as log:
            return [(inspection.seq or 0, inspection.inspection_id) for inspection in log.find()]

    def waiting(self) -> int:
        """Return how many messages wait in the outbox."""
        with Log(self._database, self._topics.station) as log:
            return log.outbox.depth()

    def _follow(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_S):
            try:
                self._look(read_only=True)
                self.error = None
            except LogError as error:  # not there yet, or its daemon is away: the next look decides
                self.error = str(error)

    def _look(self, *, read_only: bool) -> None:
        """Feed what is new."""
        with Log(self._database, self._topics.station, read_only=read_only) as log:
            fresh = list(log.find(after_seq=self.count))
        if fresh:
            with self._path.open("ab", buffering=0) as stream:
                stream.write(b"".join(result_message(inspection, self._topics).payload + b"\n" for inspection in fresh))
            self.count = fresh[-1].seq or self.count
