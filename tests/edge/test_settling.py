"""A review in the log: once, whole or not at all, and the newest one settles the verdict."""

import sqlite3
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from inspector.core.label import LabelSet
from inspector.core.review import Review
from inspector.edge.disk.salvage import salvage
from inspector.edge.log import Log
from inspector.edge.messages import review_message
from inspector.edge.settling import Settled
from inspector.edge.topics import Topics
from tests.edge.conftest import MakeInspection

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
LABELS = LabelSet(("good", "scratch", "dent"), "good")


def settled(log: Log, make_inspection: MakeInspection, number: int = 1, **changes: object) -> Settled:
    logged = log.append(make_inspection(number, disposition="review"))
    review = Review(str(uuid.uuid4()), "cell-3", logged.inspection_id, "mei", AT, "scratch", "left flank")
    return Settled(replace(review, **changes), logged, LABELS, None)  # type: ignore[arg-type] # whatever a test changes


def rows(path: Path, table: str) -> list[sqlite3.Row]:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    found = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - a test's own name
    connection.close()
    return found


def test_a_review_is_logged_once_however_often_it_comes(tmp_path: Path, make_inspection: MakeInspection, topics: Topics) -> None:
    with Log(tmp_path / "log.db", "cell-3") as log:
        one = settled(log, make_inspection)
        assert [log.settle(one, lambda found: review_message(found, topics)) for _ in range(3)] == [True, False, False]
        assert log.has_review(one.review.review_id)
    assert {table: len(rows(tmp_path / "log.db", table)) for table in ("reviewed", "reviews", "reports", "outbox")} == {
        "reviewed": 1,
        "reviews": 1,
        "reports": 1,
        "outbox": 1,
    }


def test_a_message_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path, make_inspection: MakeInspection) -> None:
    def broken(_: Settled) -> None:
        raise RuntimeError

    with Log(tmp_path / "log.db", "cell-3") as log:
        one = settled(log, make_inspection)
        with pytest.raises(RuntimeError):
            log.settle(one, broken)  # type: ignore[arg-type] # the point of it
        assert not log.has_review(one.review.review_id)
    assert rows(tmp_path / "log.db", "reports") == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_review_that_was_signed_last_settles_the_verdict_whatever_comes_first(
    tmp_path: Path, make_inspection: MakeInspection, order: tuple[int, int]
) -> None:
    with Log(tmp_path / "log.db", "cell-3") as log:
        first = settled(log, make_inspection)
        later = replace(first.review, review_id=str(uuid.uuid4()), reviewer="li", reviewed_at=AT + timedelta(minutes=1), label="good")
        for place in order:
            log.settle((first, replace(first, review=later))[place])
    (row,) = rows(tmp_path / "log.db", "reviews")
    assert (row["reviewer"], row["disposition"], row["label"]) == ("li", "pass", "good")
    assert len(rows(tmp_path / "log.db", "reviewed")) == 2


def test_a_salvaged_log_keeps_what_people_have_signed(tmp_path: Path, make_inspection: MakeInspection) -> None:
    with Log(tmp_path / "log.db", "cell-3") as log:
        log.settle(settled(log, make_inspection, box_px=(1, 2, 3, 4)))
    salvage(tmp_path / "log.db", tmp_path / "fresh.db", station="cell-3")
    assert [tuple(row) for row in rows(tmp_path / "fresh.db", "reviewed")] == [tuple(row) for row in rows(tmp_path / "log.db", "reviewed")]
