"""The log of one station: every inspection with its number, and the message about it, in one transaction.

A ``Log`` belongs to the thread that made it. Every failure is a ``LogError`` that names the file and the cure.
"""

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from inspector.core.inspection import Disposition, Inspection
from inspector.edge.instants import from_text, now, to_text
from inspector.edge.outbox import Message, Outbox, Waiting
from inspector.edge.rows import finding_rows, from_row, to_row
from inspector.edge.schema import open_database, transaction
from inspector.edge.settling import Settled, is_settled, settle
from inspector.edge.sqlite_errors import as_log_error
from inspector.settings import StationSettings


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the station and is not an inspection."""

    event_id: int
    """Number within the log; rises, never given twice."""
    occurred_at: datetime
    """When, UTC."""
    station: str
    """Name of the station."""
    kind: str
    """What, in one word with dashes, such as ``camera-lost``."""
    detail: str
    """What exactly, in words."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a log has of a range of numbers."""

    count: int
    """Inspections that are there."""
    waiting: int
    """Those of them that wait in the outbox, to be published for the first time."""
    missing: tuple[tuple[int, int], ...]
    """(first, last) of each gap: numbers whose inspections were removed after their time, or not yet given."""


_IN_RANGE = "i.station = ? AND i.seq BETWEEN ? AND ? AND NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.inspection_id = i.inspection_id)"


def database_path(settings: StationSettings, root: Path, environ: Mapping[str, str] | None = None) -> Path:
    """Return where the station's log lies: ``log.path``, else below ``$STATE_DIRECTORY`` (systemd), else below ``root/var``."""
    if settings.log.path is not None:
        return settings.resolve(settings.log.path)
    state = (os.environ if environ is None else environ).get("STATE_DIRECTORY", "").split(":")[0]
    return Path(state) / f"{settings.name}.db" if state else root / "var" / settings.name / "inspector.db"


class Log:
    """The log of one station."""

    def __init__(self, path: Path, station: str, *, read_only: bool = False, brief: bool = False, busy_timeout_ms: int = 5000) -> None:
        """Open the log; create and migrate it first unless ``read_only``, or ``brief``: to be let go at once. Raises ``LogError``."""
        self.path = path
        self.station = station
        self._database = open_database(path, read_only=read_only, brief=brief, busy_timeout_ms=busy_timeout_ms)
        self.outbox = Outbox(self._database)
        """The messages that wait in this log; for the same thread."""

    def __enter__(self) -> Self:
        """Return the open log."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the log."""
        self.close()

    def append(self, inspection: Inspection, message: Callable[[Inspection], Message] | None = None) -> Inspection:
        """Log an inspection and put the message about it into the outbox: both or neither. Return it with its ``seq``.

        An ``inspection_id`` that is in the log already is not logged again: the logged inspection is returned, no number is used up
        and no message is added. ``message`` gets the numbered inspection; None logs without publishing.
        """
        if inspection.station != self.station:
            raise ValueError(f"inspection of station {inspection.station!r} given to the log of station {self.station!r}")
        with as_log_error(self.path, f"log inspection {inspection.inspection_id}"), transaction(self._database):
            logged = self._get(inspection.inspection_id)
            if logged is not None:
                return logged
            numbered = replace(inspection, seq=self._next_seq())
            self._database.table("inspections").insert(to_row(numbered))
            for row in finding_rows(numbered):
                self._database.table("findings").insert(row)
            if message is not None:
                self.outbox.put(message(numbered), numbered.inspection_id)
            return numbered

    def event(self, kind: str, detail: str, message: Callable[[Event], Message] | None = None) -> Event:
        """Log an event, and put a message about it into the outbox if one is wanted."""
        with as_log_error(self.path, f"log event {kind}"), transaction(self._database):
            instant = now()
            row = (to_text(instant), self.station, kind, detail)
            cursor = self._database.conn.execute("INSERT INTO events (occurred_at, station, kind, detail) VALUES (?, ?, ?, ?)", row)
            event = Event(int(cursor.lastrowid or 0), instant, self.station, kind, detail)
            if message is not None:
                self.outbox.put(message(event))
            return event

    def settle(self, settled: Settled, message: Callable[[Settled], Message] | None = None) -> bool:
        """Log a review, its report and the message about it: all or nothing. Return False if it is in the log already."""
        with as_log_error(self.path, f"log review {settled.review.review_id}"):
            return settle(self._database, settled, message)

    def has_review(self, review_id: str) -> bool:
        """Return whether a review is in the log."""
        with as_log_error(self.path, "read the log"):
            return is_settled(self._database, review_id)

    def get(self, inspection_id: str) -> Inspection | None:
        """Return a logged inspection, or None."""
        with as_log_error(self.path, "read the log"):
            return self._get(inspection_id)

    def find(
        self,
        *,
        label: str | None = None,
        disposition: Disposition | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        after_seq: int = 0,
    ) -> Iterator[Inspection]:
        """Return the station's inspections, oldest first; with ``limit`` the newest ones. ``label`` also finds a region's label."""
        query = (
            "SELECT * FROM inspections AS i WHERE station = :station AND seq > :after_seq AND (:since IS NULL OR inspected_at >= :since)"
            " AND (:disposition IS NULL OR disposition = :disposition)"
            " AND (:label IS NULL OR label = :label OR EXISTS"
            " (SELECT 1 FROM findings AS f WHERE f.inspection_id = i.inspection_id AND f.label = :label))"
            " ORDER BY seq DESC LIMIT :limit"
        )
        conditions = {
            "station": self.station,
            "after_seq": after_seq,
            "since": None if since is None else to_text(since),
            "disposition": disposition,
            "label": label,
            "limit": -1 if limit is None else limit,
        }
        with as_log_error(self.path, "read the log"):
            # Read at once: a reader that lingers would keep the write-ahead log from being cut.
            rows = list(self._database.query(f"SELECT * FROM ({query}) ORDER BY seq", conditions))  # noqa: S608 - fixed text
            yield from [self._whole(row) for row in rows]

    def between(self, first_seq: int, last_seq: int, limit: int) -> list[Inspection]:
        """Return at most ``limit`` inspections with numbers in a range, lowest first, without those that wait in the outbox."""
        query = f"SELECT * FROM inspections AS i WHERE {_IN_RANGE} ORDER BY seq LIMIT ?"  # noqa: S608 - fixed text
        with as_log_error(self.path, "read the log"):
            rows = list(self._database.query(query, (self.station, first_seq, last_seq, limit)))
            return [self._whole(row) for row in rows]

    def holdings(self, first_seq: int, last_seq: int, limit: int = 100) -> Holdings:
        """Return what the log still has of a range of numbers; of the gaps at most ``limit``."""
        bounds = (self.station, first_seq, last_seq)
        gaps = (
            "SELECT seq + 1, following - 1 FROM (SELECT seq, lead(seq, 1, ?) OVER (ORDER BY seq) AS following FROM"
            " (SELECT seq FROM inspections WHERE station = ? AND seq BETWEEN ? AND ? UNION ALL SELECT ?))"
            " WHERE following - seq > 1 LIMIT ?"
        )
        count = "SELECT count(*) FROM inspections WHERE station = ? AND seq BETWEEN ? AND ?"
        waiting = (
            "SELECT count(*) FROM inspections AS i JOIN outbox AS o USING (inspection_id) WHERE i.station = ? AND i.seq BETWEEN ? AND ?"
        )
        with as_log_error(self.path, "read the log"):
            execute = self._database.conn.execute
            missing = execute(gaps, (last_seq + 1, *bounds, first_seq - 1, limit)).fetchall()
            return Holdings(
                count=int(execute(count, bounds).fetchone()[0]),
                waiting=int(execute(waiting, bounds).fetchone()[0]),
                missing=tuple((int(first), int(last)) for first, last in missing),
            )

    def remember(self, key: str, value: str | None) -> None:
        """Keep a word about the station beyond a restart; None forgets it."""
        with as_log_error(self.path, f"remember {key}"), transaction(self._database):
            if value is None:
                self._database.conn.execute("DELETE FROM remembered WHERE station = ? AND key = ?", (self.station, key))
            else:
                query = "INSERT OR REPLACE INTO remembered (station, key, value, set_at) VALUES (?, ?, ?, ?)"
                self._database.conn.execute(query, (self.station, key, value, to_text(now())))

    def recall(self) -> dict[str, str]:
        """Return what is remembered about the station."""
        with as_log_error(self.path, "read the log"):
            rows = self._database.conn.execute("SELECT key, value FROM remembered WHERE station = ?", (self.station,)).fetchall()
        return {str(key): str(value) for key, value in rows}

    def events(self, limit: int = 100) -> list[Event]:
        """Return the station's newest events, oldest first."""
        query = "SELECT * FROM (SELECT * FROM events WHERE station = ? ORDER BY event_id DESC LIMIT ?) ORDER BY event_id"
        return self._events(query, (self.station, limit))

    def events_of(self, kinds: Collection[str], after_id: int = 0) -> list[Event]:
        """Return the station's events of some kinds with numbers above ``after_id``, oldest first."""
        query = "SELECT * FROM events WHERE station = ? AND event_id > ? AND kind IN (SELECT value FROM json_each(?)) ORDER BY event_id"
        return self._events(query, (self.station, after_id, json.dumps(list(kinds))))

    def last_event_id(self) -> int:
        """Return the number of the newest event in this log, 0 before the first."""
        with as_log_error(self.path, "read the log"):
            return int(self._database.conn.execute("SELECT coalesce(max(event_id), 0) FROM events").fetchone()[0])

    def judged_since(self, since: datetime) -> list[tuple[Disposition, bool, float]]:
        """Return disposition, whether it is a fault, and frame age in milliseconds of each inspection since then, in no order."""
        query = "SELECT disposition, is_fault, frame_age_ms FROM inspections WHERE station = ? AND inspected_at >= ?"
        with as_log_error(self.path, "read the log"):
            rows = self._database.conn.execute(query, (self.station, to_text(since))).fetchall()
        return [(disposition, bool(is_fault), age_ms) for disposition, is_fault, age_ms in rows]

    def waiting(self) -> Waiting:
        """Return how many messages wait in the outbox, and since when."""
        with as_log_error(self.path, "read the outbox"):
            return self.outbox.waiting()

    def last_seq(self) -> int:
        """Return the last number given at this station, 0 before the first."""
        with as_log_error(self.path, "read the log"):
            row = self._database.conn.execute("SELECT last_seq FROM sequences WHERE station = ?", (self.station,)).fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    def _events(self, query: str, parameters: tuple[object, ...]) -> list[Event]:
        with as_log_error(self.path, "read the log"):
            rows = list(self._database.query(query, parameters))
        return [Event(r["event_id"], from_text(r["occurred_at"]), r["station"], r["kind"], r["detail"]) for r in rows]

    def _next_seq(self) -> int:
        """Take the station's next number; it is given back if the transaction fails, so numbers have no gaps."""
        query = (
            "INSERT INTO sequences (station, last_seq) VALUES (?, 1) ON CONFLICT DO UPDATE SET last_seq = last_seq + 1 RETURNING last_seq"
        )
        return int(self._database.conn.execute(query, (self.station,)).fetchone()[0])

    def _get(self, inspection_id: str) -> Inspection | None:
        """Return a logged inspection, or None; SQLite errors pass through."""
        row = next(iter(self._database.query("SELECT * FROM inspections WHERE inspection_id = ?", (inspection_id,))), None)
        return None if row is None else self._whole(row)

    def _whole(self, row: Mapping[str, Any]) -> Inspection:
        """Add an inspection's findings to its row."""
        query = "SELECT * FROM findings WHERE inspection_id = ? ORDER BY finding_id"
        return from_row(row, self._database.query(query, (row["inspection_id"],)))
