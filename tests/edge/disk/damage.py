"""Truly damaged databases: pages of a table overwritten with noise."""

import sqlite3
from pathlib import Path

from inspector.edge.log import Log
from inspector.edge.outbox import Message
from tests.edge.conftest import MakeInspection

PAGE = 4096


def closed_log(path: Path, make: MakeInspection, count: int, *, published: int = 0) -> Path:
    """Write a log of ``count`` verdicts, the first of them published, and close it."""
    with Log(path, "cell-3") as log:
        for number in range(1, count + 1):
            log.append(make(number, disposition="fail"), lambda i: Message("t", b'{"seq":%d}' % (i.seq or 0)))
            log.event("noted", f"after {number}")
        log.outbox.close([row.row_id for row in log.outbox.pending(published)])
        log._database.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return path


def overwrite(path: Path, table: str, *, leaves: int, skip: int = 1) -> list[int]:
    """Overwrite leaf pages of a table with noise, the first ``skip`` left alone; return their numbers."""
    content = bytearray(path.read_bytes())
    connection = sqlite3.connect(path)
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    connection.close()
    chosen = _leaves(content, root)[skip : skip + leaves]
    assert len(chosen) == leaves, "the table has too few pages for this test"
    for number in chosen:
        content[(number - 1) * PAGE : number * PAGE] = b"\xa5" * PAGE
    path.write_bytes(bytes(content))
    return chosen


def _leaves(content: bytearray, page: int) -> list[int]:
    """Return the leaf pages of a table's tree, in order (file format: sqlite.org/fileformat2.html, section 1.6)."""
    start = (page - 1) * PAGE + (100 if page == 1 else 0)
    if content[start] != 5:
        return [page]
    count = int.from_bytes(content[start + 3 : start + 5], "big")
    cells = [int.from_bytes(content[start + 12 + 2 * n : start + 14 + 2 * n], "big") for n in range(count)]
    children = [int.from_bytes(content[(page - 1) * PAGE + cell : (page - 1) * PAGE + cell + 4], "big") for cell in cells]
    children.append(int.from_bytes(content[start + 8 : start + 12], "big"))
    return [leaf for child in children for leaf in _leaves(content, child)]
