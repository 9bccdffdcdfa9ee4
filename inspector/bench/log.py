"""The log's bench: what a verdict costs in the log, in ms and bytes, in an empty log and in one of many rows.

Both are measured in turns in one run, because a machine differs from minute to minute. A cycle is what the daemon does for each verdict:
verdict and message in one durable transaction, the message read for sending, and its row closed on the acknowledgement.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from inspector.bench.machine import written_bytes
from inspector.core.inspection import Finding, Inspection, Verdict, inspection_id
from inspector.core.prediction import Prediction
from inspector.edge.disk.checkpoint import cut
from inspector.edge.log import Log
from inspector.edge.messages import result_message
from inspector.edge.schema import open_database, transaction
from inspector.edge.topics import Topics
from inspector.errors import LogError

_STATION = "bench"
_TOPICS = Topics("inspector/v1", "plant", "area", "line1", _STATION)
_LABELS = ("good", "scratch", "dent", "pit", "crack", "rust")
_BATCH = 20_000
_BYTES_A_ROW = 4000
"""What a filled row may take on the disk, with its indexes and a margin."""
_BLOCK = 100
"""Cycles before the next load has its turn."""


@dataclass(frozen=True, slots=True)
class LogCost:
    """What a verdict costs in a log of so many rows."""

    rows: int
    """Verdicts in the log before the measurement."""
    cycles: int
    """Verdicts measured."""
    commit_p50_ms: float
    """Median of the durable transaction with verdict and message."""
    commit_p99_ms: float
    """99th percentile of it."""
    close_p50_ms: float
    """Median of reading the message for sending and closing its row."""
    close_p99_ms: float
    """99th percentile of it."""
    row_bytes: float
    """Growth of the database file for each verdict, its message gone again."""
    written_bytes: float
    """Bytes written to files for each verdict: the write-ahead log and its copying into the database; from /proc/self/io's wchar."""

    def to_dict(self) -> dict[str, float]:
        """Return the numbers for JSON."""
        return asdict(self)


def bench_log(
    folder: Path, rows: int, cycles: int, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> tuple[LogCost, LogCost]:
    """Measure an empty log against one of ``rows`` verdicts below ``folder``; ``progress`` hears of rows filled. Raises ``LogError``."""
    if shutil.disk_usage(folder).free < rows * _BYTES_A_ROW + 500_000_000:
        raise LogError(f"{folder}: {rows:,} rows need about {rows * _BYTES_A_ROW / 1e9:.1f} GB of free space; give --rows a smaller number")
    with tempfile.TemporaryDirectory(prefix="bench-log-", dir=folder) as place:
        paths = (Path(place) / "empty.db", Path(place) / "full.db")
        for path in paths:
            Log(path, _STATION).close()
        fill(paths[1], rows, progress)
        with _measuring(paths[0], 0) as empty, _measuring(paths[1], rows) as full:
            for _ in range(-(-cycles // _BLOCK)):
                empty.run(_BLOCK)
                full.run(_BLOCK)
            return empty.cost(), full.cost()


def fill(path: Path, rows: int, progress: Callable[[int, int], None] = lambda _done, _all: None) -> None:
    """Fill a log with published verdicts, ten a second up to now; every tenth one failed."""
    with Log(path, _STATION) as log:
        log.append(_verdict(0))
        log.append(_verdict(10))
    database = open_database(path)
    try:
        columns = [row[0] for row in database.conn.execute("SELECT name FROM pragma_table_info('inspections')")]
        instant = "strftime('%Y-%m-%dT%H:%M:%f000Z', julianday('now') - (:rows - n) / 864000.0)"
        changed = {"inspection_id": "lower(hex(randomblob(16)))", "seq": "n", "captured_at": instant, "inspected_at": instant}
        values = ", ".join(changed.get(name, f"i.{name}") for name in columns)
        counter = "WITH RECURSIVE c(n) AS (VALUES(:first) UNION ALL SELECT n + 1 FROM c WHERE n < :last)"
        source = "c JOIN inspections AS i ON i.seq = CASE WHEN n % 10 THEN 1 ELSE 2 END"
        insert = f"{counter} INSERT INTO inspections ({', '.join(columns)}) SELECT {values} FROM {source}"  # noqa: S608 - own names
        findings = (
            "INSERT INTO findings (inspection_id, region, label, confidence, disposition) SELECT inspection_id, 'frame', label, confidence,"
            " disposition FROM inspections WHERE seq BETWEEN :first AND :last AND disposition = 'fail'"
        )
        for first in range(3, rows + 1, _BATCH):
            bounds = {"first": first, "last": min(first + _BATCH - 1, rows), "rows": rows}
            with transaction(database):
                database.conn.execute(insert, bounds)
                database.conn.execute(findings, bounds)
                database.conn.execute("UPDATE sequences SET last_seq = :last", bounds)
            progress(bounds["last"], rows)
        cut(database, path)
    finally:
        database.close()


class _Measured:
    """Cycles on one log, with their times."""

    def __init__(self, path: Path, rows: int, log: Log) -> None:
        self._path, self._rows, self._log = path, rows, log
        self._commit_ms: list[float] = []
        self._close_ms: list[float] = []
        self._written_bytes = 0
        self._size_bytes = path.stat().st_size

    def run(self, cycles: int) -> None:
        """Do so many cycles."""
        before = written_bytes()
        for _ in range(cycles):
            inspection = _verdict(self._rows + len(self._commit_ms), at=datetime.now(UTC))
            began = time.perf_counter()
            self._log.append(inspection, lambda numbered: result_message(numbered, _TOPICS))
            committed = time.perf_counter()
            self._log.outbox.close([row.row_id for row in self._log.outbox.pending(1)])
            self._commit_ms.append((committed - began) * 1e3)
            self._close_ms.append((time.perf_counter() - committed) * 1e3)
        self._written_bytes += written_bytes() - before

    def cost(self) -> LogCost:
        """Return what it came to."""
        database = open_database(self._path)
        cut(database, self._path)
        database.close()
        count = len(self._commit_ms)
        commit, close = (np.quantile(times, (0.5, 0.99)).round(3) for times in (self._commit_ms, self._close_ms))
        return LogCost(
            rows=self._rows,
            cycles=count,
            commit_p50_ms=float(commit[0]),
            commit_p99_ms=float(commit[1]),
            close_p50_ms=float(close[0]),
            close_p99_ms=float(close[1]),
            row_bytes=round((self._path.stat().st_size - self._size_bytes) / count),
            written_bytes=round(self._written_bytes / count),
        )


@contextmanager
def _measuring(path: Path, rows: int) -> Iterator[_Measured]:
    with Log(path, _STATION) as log:
        yield _Measured(path, rows, log)


def _verdict(number: int, at: datetime | None = None) -> Inspection:
    """Return a verdict of usual length; every tenth one failed."""
    at = at or datetime.now(UTC)
    name = "scratch" if number % 10 == 0 and number else "good"
    scores = {label: 0.95 if label == name else 0.01 for label in _LABELS}
    findings = (Finding("frame", name, 0.95, None, "fail"),) if name != "good" else ()
    frame_id = f"{number:09d}.jpg"
    return replace(
        _TEMPLATE,
        inspection_id=inspection_id(_STATION, "top", frame_id, int(at.timestamp() * 1e6) * 1000 + number % 1000),
        frame_id=frame_id,
        captured_at=at - timedelta(milliseconds=60),
        inspected_at=at,
        verdict=Verdict("fail" if findings else "pass", findings, f"frame: {name} 0.95"),
        predictions=(Prediction("frame", scores, ("QC-0101", "QC-0102", "QC-0103", "QC-0104"), "inspector-edge@0123456789ab"),),
    )


_TEMPLATE = Inspection(
    inspection_id="",
    station=_STATION,
    camera="top",
    frame_id="",
    product="bracket",
    captured_at=datetime(2026, 1, 1, tzinfo=UTC),
    inspected_at=datetime(2026, 1, 1, tzinfo=UTC),
    frame_age_ms=60.0,
    verdict=Verdict("pass", (), ""),
    predictions=(),
    timings_ms={"preprocess": 1.2, "reports": 0.1, "vision": 32.1, "prefill": 0.0, "decode": 18.4, "total": 53.0},
    model="inspector-edge@0123456789ab",
    lot="L-2026-47",
    width_px=1920,
    height_px=1080,
)
