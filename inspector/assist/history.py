"""What a station's log and reports say, read only, for one answer; the daemon beside it is not disturbed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

from inspector.core.inspection import Inspection
from inspector.core.report import Report
from inspector.edge.instants import from_text, to_text
from inspector.edge.log import Log
from inspector.edge.schema import open_database
from inspector.edge.sqlite_errors import as_log_error

Similar: TypeAlias = Callable[[str], list[tuple[Report, float]]]
"""Return reports and their cosine similarity to a text, best first. Raises ``InspectorError`` where the encoder is not ready."""

_LOTS = 60
"""Lots that can be asked for by voice: the newest ones."""
_REPORTS = 50
"""Reports of one label that are looked at: the newest ones."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Inspections of a time."""

    passed: int
    """Those that passed."""
    failed: int
    """Those that failed."""
    review: int
    """Those that a person must look at."""
    with_label: int
    """Those that did not pass and have the label that was asked for in a region."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.passed + self.failed + self.review


class History:
    """A station's log, opened to read."""

    def __init__(self, path: Path, station: str) -> None:
        """Open it, for one answer: beside a daemon, or where it has stopped and this user may not write. Raises ``LogError``."""
        self.path, self._station = path, station
        self.log = Log(path, station, read_only=True, brief=True)
        """Inspections."""
        self._database = open_database(path, read_only=True, brief=True)

    def __enter__(self) -> Self:
        """Return the open history."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close it."""
        self._database.close()
        self.log.close()

    def part(self, part_id: str) -> Inspection | None:
        """Return the newest inspection of a part, by its serial number or by the inspection's own id."""
        query = "SELECT inspection_id FROM inspections WHERE station = ? AND (part_id = ? OR inspection_id = ?) ORDER BY seq DESC LIMIT 1"
        return self._first(query, (self._station, part_id, part_id))

    def newest_of(self, lot: str) -> Inspection | None:
        """Return the newest inspection of a lot."""
        return self._first(
            "SELECT inspection_id FROM inspections WHERE station = ? AND lot = ? ORDER BY seq DESC LIMIT 1", (self._station, lot)
        )

    def newest(self, disposition: Any = None, label: str | None = None) -> Inspection | None:  # noqa: ANN401 - one of three words
        """Return the newest inspection, of a disposition or label if named."""
        return next(self.log.find(disposition=disposition or None, label=label, limit=1), None)

    def counts(self, since: datetime, label: str | None = None) -> Counts:
        """Return how many inspections there were since an instant, and how many of them had a label and did not pass."""
        query = (
            "SELECT disposition, count(*), count(CASE WHEN EXISTS (SELECT 1 FROM findings AS f WHERE f.inspection_id = i.inspection_id"
            " AND f.label = ?) THEN 1 END) FROM inspections AS i WHERE station = ? AND inspected_at >= ? GROUP BY disposition"
        )
        rows = {row[0]: row[1:] for row in self._rows(query, (label, self._station, to_text(since)))}
        count = {name: int(rows.get(name, (0, 0))[0]) for name in ("pass", "fail", "review")}
        return Counts(count["pass"], count["fail"], count["review"], sum(int(row[1]) for row in rows.values()))

    def open_reviews(self) -> int:
        """Return how many reviews nobody has settled."""
        return int(self._rows("SELECT count(*) FROM open_reviews WHERE station = ?", (self._station,))[0][0])

    def settled(self, inspection_id: str) -> tuple[Any, ...] | None:
        """Return (disposition, label, reviewer) of what a person decided about an inspection, or None."""
        return next(iter(self._rows("SELECT disposition, label, reviewer FROM reviews WHERE inspection_id = ?", (inspection_id,))), None)

    def lots(self) -> list[str]:
        """Return the lots that inspections and reports have lately named, newest first."""
        query = (
            "SELECT lot FROM (SELECT lot, inspected_at AS at FROM (SELECT lot, inspected_at FROM inspections WHERE station = ?"
            " ORDER BY seq DESC LIMIT 5000) UNION ALL SELECT lot, written_at FROM reports) WHERE lot IS NOT NULL"
            " GROUP BY lot ORDER BY max(at) DESC LIMIT ?"
        )
        return [str(row[0]) for row in self._rows(query, (self._station, _LOTS))]

    def reports_of(self, product: str, label: str) -> list[Report]:
        """Return the newest reports whose writer gave a label, newest first."""
        columns = "report_id, written_at, product, text, station, lot, label"
        query = f"SELECT {columns} FROM reports WHERE product = ? AND label = ? ORDER BY written_at DESC LIMIT ?"  # noqa: S608 - fixed text
        return [Report(r[0], from_text(r[1]), *r[2:]) for r in self._rows(query, (product, label, _REPORTS))]

    def reports_with(self, report_ids: Iterable[str]) -> list[Report]:
        """Return the reports of some ids that are still there."""
        columns, wanted = "report_id, written_at, product, text, station, lot, label", list(report_ids)
        query = f"SELECT {columns} FROM reports WHERE report_id IN ({', '.join('?' * len(wanted))})"  # noqa: S608 - question marks
        return [Report(r[0], from_text(r[1]), *r[2:]) for r in self._rows(query, wanted)]

    def _first(self, query: str, values: Sequence[object]) -> Inspection | None:
        rows = self._rows(query, values)
        return self.log.get(str(rows[0][0])) if rows else None

    def _rows(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        with as_log_error(self.path, "read the log"):
            return [tuple(row) for row in self._database.conn.execute(query, list(values)).fetchall()]
