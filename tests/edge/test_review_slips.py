"""Slips: what is dropped is taken as it was; what is not a slip is refused with its reason and takes nothing with it."""

import json
import os
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from inspector.core.label import LabelSet
from inspector.core.review import Review
from inspector.edge.review_slips import LONGEST_BYTES, drop, read_slip, slip_folder, waiting
from inspector.errors import LogError

REVIEW = Review(
    review_id=str(uuid.uuid4()),
    station="cell-3",
    inspection_id=str(uuid.uuid5(uuid.NAMESPACE_DNS, "x")),
    reviewer="mei",
    reviewed_at=datetime(2026, 3, 1, 8, tzinfo=UTC),
    label="scratch",
    note="左侧划痕 <b>",
    box_px=(1, 2, 30, 40),
)


@pytest.mark.parametrize("review", [REVIEW, replace(REVIEW, label=None, note="", box_px=None)])
def test_a_slip_is_taken_as_it_was_dropped(tmp_path: Path, review: Review) -> None:
    folder = slip_folder(tmp_path / "inspector.db", "cell-3")
    assert waiting(folder) == []
    drop(folder, review)
    (name,) = waiting(folder)
    assert read_slip(folder / name) == review
    assert waiting(folder, {name}) == []
    assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize("changes", [{"note": "x" * 501}, {"note": "two\nlines"}, {"reviewer": "a b"}, {"box_px": (-1, 0, 1, 1)}])
def test_what_the_daemon_would_refuse_is_not_dropped(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        drop(tmp_path, replace(REVIEW, **changes))  # type: ignore[arg-type] # the point of it
    assert waiting(tmp_path) == []


def test_a_slip_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "reviews").write_text("in the way")
    with pytest.raises(LogError, match=r"docs/dashboard\.md"):
        drop(tmp_path / "reviews" / "cell-3", REVIEW)


def test_nothing_but_a_slip_is_taken(tmp_path: Path) -> None:
    drop(tmp_path, REVIEW)
    good = json.loads((tmp_path / f"{REVIEW.review_id}.json").read_text())
    other = str(uuid.uuid4())
    (tmp_path / "secret").write_text(json.dumps({**good, "review_id": other}))
    odd = {
        "no JSON": b"{",
        "no object": b"[]",
        "a key too many": json.dumps({**good, "disposition": "pass"}).encode(),
        "a wrong type": json.dumps({**good, "label": 3}).encode(),
        "a day that is none": json.dumps({**good, "reviewed_at": "2026-02-31T08:00:00.000000Z"}).encode(),
        "too long": b" " * (LONGEST_BYTES + 1),
        "another's name": json.dumps({**good, "review_id": str(uuid.uuid4())}).encode(),
        "bytes": bytes(range(256)),
    }
    for data in odd.values():
        path = tmp_path / f"{other}.json"
        path.write_bytes(data)
        with pytest.raises(LogError, match=other):
            read_slip(path)
        path.unlink()
    (tmp_path / f"{other}.json").symlink_to(tmp_path / "secret")
    with pytest.raises(LogError, match="cannot be read"):
        read_slip(tmp_path / f"{other}.json")
    (tmp_path / f"{other}.json").unlink()
    os.mkfifo(tmp_path / f"{other}.json")
    with pytest.raises(LogError, match="plain file"):
        read_slip(tmp_path / f"{other}.json")


def test_a_review_tells_what_becomes_of_the_part_and_what_the_next_parts_read() -> None:
    labels = LabelSet(("good", "scratch", "deep_dent"), "good")
    assert [replace(REVIEW, label=label).disposition(labels) for label in ("good", "scratch", None)] == ["pass", "fail", "fail"]
    assert REVIEW.disposition(LabelSet(("scratch", "dent"))) == "fail"
    report = REVIEW.to_report("bracket", "L7", labels)
    assert (report.text, report.lot, report.label, report.written_at) == (REVIEW.note, "L7", "scratch", REVIEW.reviewed_at)
    assert replace(REVIEW, note="", label="deep_dent").to_report("bracket", None, labels).text == "deep dent found at review"
    assert replace(REVIEW, note="", label="good").to_report("bracket", None, labels).text == "no defect found at review"
    assert replace(REVIEW, note="", label=None).to_report("bracket", None, labels).text == "could not be told at review"
