"""Samples of a running daemon: what the kernel says of its process, and what its log says of the last minute."""

import os
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_WINDOW = "-60 seconds"


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the daemon."""

    at_s: float
    """Seconds since the soak began."""
    verdicts: int
    """Verdicts in the log."""
    waiting: int
    """Messages in the outbox."""
    rss_mib: float
    """Resident memory, MiB."""
    descriptors: int
    """Open file descriptors."""
    threads: int
    """Threads."""
    wal_kib: float
    """Length of the write-ahead log, KiB."""
    p50_ms: float
    """Median from capture to verdict, of the last minute."""
    p99_ms: float
    """99th percentile of the same."""


def take(pid: int, database: Path, began_s: float) -> Sample:
    """Look at a process and its log. Raises ``OSError`` if the process is gone."""
    process = Path("/proc") / str(pid)
    pages = int((process / "statm").read_text(encoding="ascii").split()[1])
    status = (process / "status").read_text(encoding="utf-8")
    threads = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Threads:"))
    verdicts, waiting, ages = _look(database)
    wal = database.with_name(database.name + "-wal")
    p50, p99 = np.quantile(ages, (0.5, 0.99)) if ages else (float("nan"), float("nan"))
    return Sample(
        at_s=round(time.monotonic() - began_s, 1),
        verdicts=verdicts,
        waiting=waiting,
        rss_mib=round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 2),
        descriptors=len(list((process / "fd").iterdir())),
        threads=threads,
        wal_kib=round(wal.stat().st_size / 1024, 1) if wal.exists() else 0.0,
        p50_ms=round(float(p50), 2),
        p99_ms=round(float(p99), 2),
    )


def _look(database: Path) -> tuple[int, int, Sequence[float]]:
    """Return verdicts, waiting messages and the frame ages of the last minute, ms."""
    connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)
    try:
        verdicts = connection.execute("SELECT coalesce(max(last_seq), 0) FROM sequences").fetchone()[0]
        waiting = connection.execute("SELECT count(*) FROM outbox").fetchone()[0]
        query = "SELECT frame_age_ms FROM inspections WHERE inspected_at >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?)"
        return int(verdicts), int(waiting), [row[0] for row in connection.execute(query, (_WINDOW,))]
    finally:
        connection.close()
