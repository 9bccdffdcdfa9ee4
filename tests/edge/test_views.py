"""The views on a small log, and docs/log.md, whose questions are asked here and whose answers must be right."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from inspector.core.inspection import Finding, Inspection, Verdict
from inspector.edge.log import Log
from inspector.edge.outbox import Message
from inspector.edge.schema import open_database
from inspector.edge.views import views

DOCUMENT = Path(__file__).parents[2] / "docs/log.md"
QUESTION = re.compile(r"```sql\n(.*?)```\n```text\n(.*?)```", re.DOTALL)


@pytest.fixture
def database(tmp_path: Path, make_inspection: Callable[..., Inspection]) -> Iterator[sqlite3.Connection]:
    """A log with eight inspections: passes, fails, one doubt, one fault, two hours, two cameras, two lots."""
    kinds = ["pass", "fail", "fail", "review", "fail", "pass", "fault", "pass"]
    with Log(tmp_path / "log.db", "cell-3") as log:
        for number, kind in enumerate(kinds, 1):
            inspection = make_inspection(
                number,
                disposition="review" if kind == "fault" else kind,
                timings_ms={"total": 40.0 + 10 * ((number * 3) % 8)},
                frame_age_ms=90.0 + number,
                lot="L8" if number in {6, 8} else "L7",
                camera="side" if number == 8 else "top",
            )
            changes: dict[str, object] = {}
            if kind == "fault":
                changes = {"verdict": Verdict.undecided("camera top: no frame for 2 s", fault=True), "predictions": ()}
            if number == 3:
                findings = (Finding("left", "scratch", 0.9), Finding("right", "dent", 0.8), Finding("rim", "good", 0.6, None, "review"))
                changes = {"verdict": Verdict("fail", findings, "left: scratch 0.90; right: dent 0.80")}
            if number == 5:
                changes = {"inspected_at": inspection.inspected_at + timedelta(hours=1)}
            log.append(replaced(inspection, changes), (lambda _: Message("t", b"{}")) if number > 5 else None)
    opened = open_database(tmp_path / "log.db")
    values = ("QC-1", "2026-02-01T00:00:00.000000Z", "bracket", "slag lump near the edge", "2026-02-02T00:00:00.000000Z")
    opened.conn.execute("INSERT INTO reports (report_id, written_at, product, text, imported_at) VALUES (?, ?, ?, ?, ?)", values)
    yield opened.conn
    opened.close()


def replaced(inspection: Inspection, changes: dict[str, object]) -> Inspection:
    fields = {name: getattr(inspection, name) for name in Inspection.__dataclass_fields__}
    return Inspection(**{**fields, **changes})


def questions() -> list[tuple[str, str]]:
    return QUESTION.findall(DOCUMENT.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("query", "answer"), questions(), ids=[str(n) for n in range(len(questions()))])
def test_the_documented_queries_give_the_documented_answers(database: sqlite3.Connection, query: str, answer: str) -> None:
    rows = [" | ".join(str(cell) for cell in row) for row in database.execute(query)]
    assert rows == answer.strip().splitlines()


def test_there_is_a_documented_query_for_every_view() -> None:
    asked = " ".join(query for query, _ in questions())
    assert [name for name in views() if name not in asked] == []


def test_every_view_is_documented_with_all_its_columns_in_order(database: sqlite3.Connection) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ([\w, ]+) \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE))
    columns = {name: ", ".join(row[1] for row in database.execute(f"PRAGMA table_info({name})")) for name in views()}
    assert {name: rows.get(name) for name in columns} == columns


def test_every_table_is_documented(database: sqlite3.Connection) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
    assert [name for name in tables if f"`{name}`" not in text] == []


def test_a_settled_review_is_no_longer_open(database: sqlite3.Connection) -> None:
    (statement,) = re.findall(r"```sql\n(INSERT.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    before = [row[0] for row in database.execute("SELECT seq FROM open_reviews ORDER BY seq")]
    database.execute(statement)
    after = [row[0] for row in database.execute("SELECT seq FROM open_reviews ORDER BY seq")]
    assert (before, after) == ([4, 7], [7])


def test_a_doubtful_region_of_a_failed_part_is_not_counted_as_a_defect(database: sqlite3.Connection) -> None:
    labels = {row[0] for row in database.execute("SELECT label FROM defects_by_hour")}
    assert labels == {"scratch", "dent"}


def test_a_percentile_is_the_smallest_time_that_its_share_of_inspections_does_not_exceed(
    tmp_path: Path, make_inspection: Callable[..., Inspection]
) -> None:
    with Log(tmp_path / "many.db", "cell-3") as log:
        for number in range(200):
            log.append(make_inspection(number, timings_ms={"total": float((number * 37) % 200 + 1)}))
    database = open_database(tmp_path / "many.db")
    row = database.conn.execute("SELECT inspections, p50_ms, p95_ms, p99_ms, max_ms FROM latency_by_day").fetchone()
    database.close()
    assert row == (200, 100.0, 190.0, 198.0, 200.0)
