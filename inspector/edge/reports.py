"""The report store: historical QC reports and their vectors in the station's database.

``relevant`` answers which reports stand in the model's input for a part: those of its product, of its station or of none, written before
an instant. Where the part's lot is known, reports of that lot come first, reports without a lot fill up, and reports of other lots never
count; where it is not known, all lots count. Among the newest 256 of each kind ``report_choice`` picks the best. Reports take part
once they are embedded by the encoder in use. A store belongs to the thread that opened it.
"""

# ruff: noqa: S608 - statements are put together from constants; values are always bound

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inspector.core.report import Report
from inspector.edge.instants import from_text, now, to_text
from inspector.edge.report_choice import Candidate, ages_days, best, hour_of, query_text, scores
from inspector.edge.schema import open_database, transaction
from inspector.edge.sqlite_errors import as_log_error
from inspector.errors import ReportError
from inspector.settings import ReportsSection

Vectors: TypeAlias = NDArray[np.float32]
Encode: TypeAlias = Callable[[list[str]], Vectors]

CANDIDATES = 256
"""Newest reports of a lot, and of the product at large, among which the best are chosen: keeps the time flat in a long history."""
_EMBEDDED_TOGETHER = 64
_CACHED = 256
_BEGIN, _END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_COLUMNS = "r.report_id, r.written_at, r.product, r.text, r.station, r.lot, r.label"


@dataclass(frozen=True, slots=True)
class Addition:
    """What became of reports that were to be added."""

    added: tuple[str, ...]
    """Ids of new reports."""
    present: tuple[str, ...]
    """Ids of reports that were stored already, word for word."""
    conflicting: tuple[str, ...]
    """Ids that are stored with another content. They are left as they are: logged verdicts refer to what was read."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """A choice of reports and for which instants it holds."""

    after: datetime
    until: datetime
    reports: tuple[Report, ...]
    vectors: Vectors


class ReportStore:
    """Reports and vectors of one station. ``encode`` turns n texts into (n, d) float32 unit vectors."""

    def __init__(
        self,
        database_path: Path,
        encode: Encode,
        encoder_revision: str,
        settings: ReportsSection,
        descriptions: Mapping[str, str] | None = None,
        *,
        read_only: bool = False,
    ) -> None:
        """Open the database. ``descriptions`` holds each product in a few words; ``read_only``: to look, and let go soon.

        Raises ``LogError``.
        """
        self._path, self._encode, self._revision, self._settings = database_path, encode, encoder_revision, settings
        self._descriptions = dict(descriptions or {})
        self._database = open_database(database_path, read_only=read_only, brief=read_only)
        self._queries: OrderedDict[str, Vectors] = OrderedDict()
        self._answers: OrderedDict[tuple[str, str, str | None, datetime], _Answer] = OrderedDict()
        self._mark: tuple[object, ...] = ()

    def close(self) -> None:
        """Close the database."""
        self._database.conn.close()

    def add(self, reports: Iterable[Report], source: str | None = None) -> Addition:
        """Store reports, all or none; they take part after ``embed_missing``. ``source`` names their file. Raises ``LogError``."""
        added: list[str] = []
        present: list[str] = []
        conflicting: list[str] = []
        self._forget()
        with as_log_error(self._path, "store reports"), transaction(self._database):
            for report in reports:
                if self._insert(report, source):
                    added.append(report.report_id)
                else:
                    (present if self._get(report.report_id) == report else conflicting).append(report.report_id)
        return Addition(tuple(added), tuple(present), tuple(conflicting))

    def count(self) -> int:
        """Return how many reports are stored."""
        with as_log_error(self._path, "count reports"):
            return int(self._database.conn.execute("SELECT count(*) FROM reports").fetchone()[0])

    def missing(self) -> int:
        """Return how many reports have no vector of the encoder in use."""
        with as_log_error(self._path, "count reports"):
            return int(self._database.conn.execute(f"SELECT count(*) {_MISSING}", [self._revision]).fetchone()[0])

    def embed_missing(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Embed every report that has no vector of the encoder in use; return their number.

        Vectors of other encoders stay, so that going back to one costs nothing. ``progress`` gets (done, all) after each batch.
        """
        total, done, last = self.missing(), 0, ""
        self._forget()
        statement = f"SELECT r.report_id, r.text {_MISSING} AND r.report_id > ? ORDER BY r.report_id LIMIT {_EMBEDDED_TOGETHER}"
        while True:
            with as_log_error(self._path, "read reports"):
                rows = self._database.conn.execute(statement, [self._revision, last]).fetchall()
            if not rows:
                return done
            self._store_vectors([report_id for report_id, _ in rows], self._encode([text for _, text in rows]))
            done, last = done + len(rows), rows[-1][0]
            if progress is not None:
                progress(done, max(total, done))

    def embed_new(self, report: Report) -> None:
        """Embed one report that another connection has just stored: it takes part from now on. Raises ``LogError`` or ``ReportError``."""
        self._store_vectors([report.report_id], self._encode([report.text]))
        self._forget()

    def relevant(self, product: str, station: str, lot: str | None, before: datetime) -> tuple[tuple[Report, ...], Vectors]:
        """Return the best reports written before an instant (UTC), oldest first, and their (n, d) float32 unit vectors.

        With ``max_reports`` 0 nothing is looked up and d is 0. Raises ``LogError`` or ``ReportError``.
        """
        if self._settings.max_reports == 0:
            return (), np.zeros((0, 0), np.float32)
        self._notice_changes()
        lot = lot or None
        key = (product, station, lot, hour_of(before))
        answer = self._answers.get(key)
        if answer is None or not answer.after < before <= answer.until or not self._still_there(answer.reports):
            answer = self._look_up(product, station, lot, before)
            _remember(self._answers, key, answer)
        return answer.reports, answer.vectors

    def search(self, text: str, limit: int = 10) -> list[tuple[Report, float]]:
        """Return reports and their cosine similarity to a text, best first; those that hold the text literally come before all others."""
        query, needle = self._query(text), text.strip().casefold()
        found: list[tuple[bool, float, Report]] = []
        with as_log_error(self._path, "search reports"):
            cursor = self._database.conn.execute(f"SELECT {_COLUMNS}, v.vector FROM reports r {_JOINED}", [self._revision])
            while rows := cursor.fetchmany(CANDIDATES):
                similarity = self._matrix([row[-1] for row in rows], query.size) @ query
                reports = [_report(row) for row in rows]
                literal = [bool(needle) and needle in f"{r.text}\n{r.report_id}\n{r.lot or ''}".casefold() for r in reports]
                found += zip(literal, map(float, similarity), reports, strict=True)
                found = sorted(found, key=lambda entry: (not entry[0], -entry[1], entry[2].report_id))[:limit]
        return [(report, similarity) for _, similarity, report in found]

    def newest(self, product: str | None = None, lot: str | None = None, limit: int = 20) -> list[Report]:
        """Return the newest reports, newest first, of one product or lot if named."""
        wanted = {"r.product = ?": product, "r.lot = ?": lot}
        where = " AND ".join(name for name, value in wanted.items() if value is not None) or "1"
        values = [value for value in wanted.values() if value is not None]
        with as_log_error(self._path, "list reports"):
            statement = f"SELECT {_COLUMNS} FROM reports r WHERE {where} {_NEWEST}"
            return [_report(row) for row in self._database.conn.execute(statement, [*values, limit])]

    def _look_up(self, product: str, station: str, lot: str | None, before: datetime) -> _Answer:
        """Choose among the newest candidates of each kind."""
        query, options = self._query(query_text(product, self._descriptions.get(product, ""), station, lot)), self._settings
        candidates, blobs, following = self._candidates(product, station, lot, to_text(before))
        vectors = self._matrix(blobs, query.size)
        ages = ages_days([candidate.written_at for candidate in candidates], hour_of(before))
        score = scores(vectors @ query, ages, recency_days=options.recency_days, recency_weight=options.recency_weight)
        chosen = best(candidates, score, options.max_reports)
        picked = vectors[chosen]
        picked.flags.writeable = False
        after = max((candidate.written_at for candidate in candidates), default=to_text(_BEGIN))
        return _Answer(from_text(after), following, tuple(self._get(candidates[i].report_id) for i in chosen), picked)

    def _candidates(self, product: str, station: str, lot: str | None, instant: str) -> tuple[list[Candidate], list[bytes], datetime]:
        """Return candidates written before an instant, their vectors, and when the next one will have been written."""
        scopes: list[tuple[str, list[str]]] = [("", [])] if lot is None else [(" AND r.lot = ?", [lot]), (" AND r.lot IS NULL", [])]
        rows, following = [], []
        with as_log_error(self._path, "look up reports"):
            columns = "r.report_id, r.written_at, r.lot, v.vector"
            for (scope, extra), place in itertools.product(scopes, (station, None)):
                where, values = f"r.product = ? AND r.station IS ?{scope}", [product, place, *extra]
                newest = f"SELECT {columns} FROM reports r {_JOINED} WHERE {where} AND r.written_at < ? {_NEWEST}"
                rows += self._database.conn.execute(newest, [self._revision, *values, instant, CANDIDATES]).fetchall()
                later = f"SELECT min(r.written_at) FROM reports r WHERE {where} AND r.written_at >= ?"
                following += [text for (text,) in self._database.conn.execute(later, [*values, instant]) if text is not None]
        candidates = [Candidate(report_id, written_at, lot is not None and of_lot == lot) for report_id, written_at, of_lot, _ in rows]
        return candidates, [row[3] for row in rows], from_text(min(following)) if following else _END

    def _query(self, text: str) -> Vectors:
        """Return the (d,) vector of a query, from the cache if it was asked lately."""
        if text not in self._queries:
            _remember(self._queries, text, np.asarray(self._encode([text]), np.float32)[0])
        self._queries.move_to_end(text)
        return self._queries[text]

    def _get(self, report_id: str) -> Report:
        with as_log_error(self._path, "read a report"):
            return _report(self._database.conn.execute(f"SELECT {_COLUMNS} FROM reports r WHERE r.report_id = ?", [report_id]).fetchone())

    def _matrix(self, blobs: Sequence[bytes], width: int) -> Vectors:
        """Return the (n, d) vectors that n blobs hold."""
        odd = next((blob for blob in blobs if len(blob) != 4 * width), None)
        if odd is not None:
            raise ReportError(
                f"{self._path}: report_vectors holds a vector of {len(odd)} bytes, encoder {self._revision} gives {4 * width}; "
                f"delete the rows of that encoder from report_vectors and import again"
            )
        return np.frombuffer(b"".join(blobs), "<f4").reshape(len(blobs), width).astype(np.float32)

    def _insert(self, report: Report, source: str | None) -> bool:
        """Store one report; return False if its id is taken."""
        columns = "report_id, written_at, product, station, lot, label, text, imported_at, source"
        row = (report.report_id, to_text(report.written_at), report.product, report.station, report.lot, report.label, report.text)
        statement = f"INSERT INTO reports ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (report_id) DO NOTHING"
        return self._database.conn.execute(statement, (*row, to_text(now()), source)).rowcount == 1

    def _store_vectors(self, report_ids: Sequence[str], vectors: Vectors) -> None:
        """Store (n, d) vectors in one transaction; a report that was deleted meanwhile is left out."""
        insert = (
            "INSERT OR REPLACE INTO report_vectors (report_id, encoder, vector) SELECT report_id, ?, ? FROM reports WHERE report_id = ?"
        )
        entries = [(self._revision, vector.tobytes(), name) for name, vector in zip(report_ids, np.asarray(vectors, "<f4"), strict=True)]
        with as_log_error(self._path, "store report vectors"), transaction(self._database):
            self._database.conn.executemany(insert, entries)

    def _forget(self) -> None:
        self._answers.clear()

    def _still_there(self, reports: Sequence[Report]) -> bool:
        """Return False if somebody has deleted one of the reports; a deleted report that was not chosen changes nothing."""
        with as_log_error(self._path, "look up reports"):
            statement = f"SELECT count(*) FROM reports WHERE report_id IN ({', '.join('?' * len(reports))})"
            return bool(self._database.conn.execute(statement, [report.report_id for report in reports]).fetchone()[0] == len(reports))

    def _notice_changes(self) -> None:
        """Forget cached answers if another connection has added reports or vectors."""
        with as_log_error(self._path, "look up reports"):
            mark = tuple(self._database.conn.execute(_MARK).fetchone())
        if mark != self._mark:
            self._forget()
            self._mark = mark


_JOINED = "JOIN report_vectors v ON v.report_id = r.report_id AND v.encoder = ?"
_NEWEST = "ORDER BY r.written_at DESC, r.report_id DESC LIMIT ?"
_MISSING = "FROM reports r LEFT JOIN report_vectors v ON v.report_id = r.report_id AND v.encoder = ? WHERE v.report_id IS NULL"
_MARK = "SELECT (SELECT max(rowid) FROM reports), (SELECT max(rowid) FROM report_vectors)"


def _report(row: Sequence[Any]) -> Report:
    report_id, written_at, product, text, station, lot, label = row[:7]
    return Report(report_id, from_text(written_at), product, text, station, lot, label)


def _remember(cache: "OrderedDict[Any, Any]", key: object, value: object) -> None:
    cache[key] = value
    while len(cache) > _CACHED:
        cache.popitem(last=False)
