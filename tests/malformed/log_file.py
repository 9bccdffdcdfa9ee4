"""A closed log of forty verdicts as bytes: what the course damages."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from inspector.core.inspection import Inspection, Verdict, inspection_id
from inspector.edge.log import Log
from inspector.edge.outbox import Message


def written_log(count: int = 40) -> bytes:
    """Return the database file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.db"
        with Log(path, "cell-3") as log:
            for number in range(count):
                log.append(_verdict(number), lambda numbered: Message("t", b'{"seq":%d}' % (numbered.seq or 0)))
        return path.read_bytes()


def _verdict(number: int) -> Inspection:
    at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=number)
    return Inspection(
        inspection_id=inspection_id("cell-3", "top", f"f{number}", int(at.timestamp() * 1e9)),
        station="cell-3",
        camera="top",
        frame_id=f"f{number}",
        product="bracket",
        captured_at=at,
        inspected_at=at,
        frame_age_ms=50.0,
        verdict=Verdict("review", (), "no picture"),
        predictions=(),
        timings_ms={"total": 40.0},
        model="m@1",
    )
