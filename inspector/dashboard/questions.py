"""The questions that the pages ask a station's log. Each takes an open connection and answers with plain values.

Every one of them goes through an index and looks at what did not pass, or at the newest rows: a log of a million verdicts answers in a
moment.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from statistics import fmean
from typing import Any, Literal, TypeAlias

from inspector.core.attention import MEASURE
from inspector.edge.instants import to_text

Grouping: TypeAlias = Literal["label", "hour", "lot"]
Row: TypeAlias = dict[str, Any]

_KEYS: dict[Grouping, str] = {"label": "label", "lot": "lot", "hour": "substr(inspected_at, 1, 13) || ':00Z'"}
_QUEUE = 500
"""Open reviews among which the most doubtful are looked for: the newest ones."""
_LATEST = 10_000
"""Newest verdicts that latencies are told of, and among which a picture is looked for."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a Pareto chart."""

    name: str | None
    """Label, hour or lot; None: none was given."""
    fail: int
    """Parts that failed."""
    review: int
    """Parts that a person must look at."""
    cumulative: float
    """Share of this bar and all before it, 0..1."""

    @property
    def count(self) -> int:
        """All of them."""
        return self.fail + self.review


def has_log(connection: sqlite3.Connection) -> bool:
    """Return whether the log has been begun."""
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'inspections'").fetchone() is not None


def last_seq(connection: sqlite3.Connection, station: str) -> int:
    """Return the last number given, 0 before the first."""
    if not has_log(connection):
        return 0
    found = connection.execute("SELECT last_seq FROM sequences WHERE station = ?", (station,)).fetchone()
    return int(found[0]) if found else 0


def newest(connection: sqlite3.Connection, station: str) -> Row | None:
    """Return the newest verdict."""
    return _one(connection, "SELECT * FROM inspections WHERE station = ? ORDER BY seq DESC LIMIT 1", station)


def newest_with_picture(connection: sqlite3.Connection, station: str) -> Row | None:
    """Return the newest verdict whose picture is kept, None if none of the newest 10,000 is: a log without pictures would be read whole."""
    query = "SELECT * FROM inspections WHERE station = ? AND seq > ? AND image_path IS NOT NULL ORDER BY seq DESC LIMIT 1"
    return _one(connection, query, station, last_seq(connection, station) - _LATEST)


def inspection(connection: sqlite3.Connection, station: str, inspection_id: str) -> Row | None:
    """Return one verdict."""
    return _one(connection, "SELECT * FROM inspections WHERE station = ? AND inspection_id = ?", station, inspection_id)


def findings(connection: sqlite3.Connection, inspection_id: object) -> list[Row]:
    """Return the regions that did not pass."""
    return list(rows(connection, "SELECT * FROM findings WHERE inspection_id = ? ORDER BY finding_id", inspection_id))


def reviews(connection: sqlite3.Connection, inspection_id: object) -> list[Row]:
    """Return what people have signed about a verdict, oldest first."""
    return list(rows(connection, "SELECT * FROM reviewed WHERE inspection_id = ? ORDER BY reviewed_at", inspection_id))


def report_weights(connection: sqlite3.Connection, inspection_id: object) -> dict[str, tuple[float, float]]:
    """Return each report's share in what the verdict took in and its pull towards the label, mean over regions; empty if never traced."""
    query = "SELECT report_shares, report_pulls FROM traces WHERE inspection_id = ? AND measure = ?"
    found: dict[str, list[tuple[float, float]]] = {}
    for shares, pulls in connection.execute(query, (inspection_id, MEASURE)).fetchall():
        pulled = json.loads(pulls)
        for name, share in json.loads(shares).items():
            found.setdefault(name, []).append((share, pulled[name]))
    return {name: (fmean(share for share, _ in rows), fmean(pull for _, pull in rows)) for name, rows in found.items()}


def reports(connection: sqlite3.Connection, report_ids: Sequence[str]) -> list[Row]:
    """Return the reports of these ids, oldest first; one that was deleted is left out."""
    query = "SELECT * FROM reports WHERE report_id IN (SELECT value FROM json_each(?)) ORDER BY written_at"
    return list(rows(connection, query, json.dumps(list(report_ids))))


def counts(connection: sqlite3.Connection, station: str, since: datetime) -> dict[str, int]:
    """Return how many parts passed, failed and went to review since an instant.

    How many there were is told by their numbers, which have no gaps: to count a million rows would read them all from the disk.
    """
    begin = to_text(since)
    query = "SELECT seq FROM inspections WHERE station = ? AND inspected_at >= ? ORDER BY inspected_at LIMIT 1"
    first = connection.execute(query, (station, begin)).fetchone()
    total = 0 if first is None else last_seq(connection, station) - first[0] + 1
    query = "SELECT disposition, count(*) FROM inspections WHERE station = ? AND inspected_at >= ? AND disposition != 'pass' GROUP BY 1"
    found = {"fail": 0, "review": 0, **dict(connection.execute(query, (station, begin)).fetchall())}
    return {"pass": max(0, total - sum(found.values())), **found}


def pareto(connection: sqlite3.Connection, station: str, by: Grouping, since: datetime) -> list[Bar]:
    """Return what did not pass since an instant, the most frequent first; hours in their order."""
    query = (
        f"SELECT {_KEYS[by]} AS name, total(disposition = 'fail'), count(*) FROM inspections"  # noqa: S608 - one of three fixed texts
        " WHERE station = ? AND inspected_at >= ? AND disposition != 'pass' GROUP BY name"
    )
    found = connection.execute(query, (station, to_text(since))).fetchall()
    found.sort(key=lambda row: (row[0] or "",) if by == "hour" else (-row[2], row[0] or ""))
    whole = sum(row[2] for row in found)
    return [
        Bar(name, int(fail), count - int(fail), so_far / whole)
        for (name, fail, count), so_far in zip(found, accumulate(row[2] for row in found), strict=True)
    ]


def open_reviews(connection: sqlite3.Connection, station: str, limit: int) -> tuple[list[Row], int]:
    """Return open reviews, the most doubtful first, and how many there are. Faults, which have no posterior, come last, newest first."""
    condition = "FROM open_reviews WHERE station = ?"
    of_all = "SELECT count(*) FROM inspections WHERE station = ? AND disposition = 'review'"  # an index alone tells it
    settled = "SELECT count(*) FROM reviews JOIN inspections USING (inspection_id) WHERE station = ? AND inspections.disposition = 'review'"
    total = int(connection.execute(of_all, (station,)).fetchone()[0] - connection.execute(settled, (station,)).fetchone()[0])
    query = (
        f"SELECT o.*, i.posterior FROM (SELECT * {condition} ORDER BY inspected_at DESC LIMIT {_QUEUE}) AS o"  # noqa: S608 - fixed text
        " JOIN inspections AS i USING (inspection_id)"
    )
    found = [row | {"doubt": doubt(row["posterior"])} for row in rows(connection, query, station)]
    found.sort(key=lambda row: row["inspected_at"], reverse=True)
    found.sort(key=lambda row: -1.0 if row["is_fault"] else float(row["doubt"]), reverse=True)
    return found[:limit], total


def doubt(posterior: str) -> float:
    """Return how near the two most probable labels are in the most doubtful region, 0 (one is sure) to 1 (equal)."""
    margins = []
    for region in json.loads(posterior):
        first, second = [*sorted(region["scores"].values(), reverse=True), 0.0, 0.0][:2]
        margins.append(1.0 - (first - second))
    return max(margins, default=1.0)


def find_reports(connection: sqlite3.Connection, text: str, limit: int) -> list[Row]:
    """Return the newest reports that hold a text in their words, id, lot or label."""
    needle = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    places = " OR ".join(f"{name} LIKE :needle ESCAPE '\\'" for name in ("text", "report_id", "lot", "label", "product"))
    query = f"SELECT * FROM reports WHERE {places} ORDER BY written_at DESC LIMIT :limit"  # noqa: S608 - fixed names
    return list(rows(connection, query, needle=needle, limit=limit))


def timings(connection: sqlite3.Connection, station: str) -> list[tuple[float | None, float, int]]:
    """Return whole time and frame age in milliseconds, and whether it is a fault, of the newest verdicts."""
    query = "SELECT total_ms, frame_age_ms, is_fault FROM inspections WHERE station = ? AND seq > ?"
    return connection.execute(query, (station, last_seq(connection, station) - _LATEST)).fetchall()


def events(connection: sqlite3.Connection, station: str, limit: int) -> list[Row]:
    """Return the newest events, newest first."""
    return list(rows(connection, "SELECT * FROM events WHERE station = ? ORDER BY event_id DESC LIMIT ?", station, limit))


def _one(connection: sqlite3.Connection, query: str, *values: object) -> Row | None:
    return next(rows(connection, query, *values), None)


def rows(connection: sqlite3.Connection, query: str, *values: object, **named: object) -> Iterator[Row]:
    """Yield the rows that a query finds, by column."""
    cursor = connection.execute(query, named or values)
    names = [column[0] for column in cursor.description]
    return (dict(zip(names, row, strict=True)) for row in cursor.fetchall())
