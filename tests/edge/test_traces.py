"""Traces in the log: they come back as they were written, go with their inspection and are salvaged with it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from inspector.core.attention import Attention
from inspector.core.inspection import Inspection
from inspector.edge.disk.salvage import salvage
from inspector.edge.log import Log
from inspector.edge.schema import open_database
from inspector.edge.traces import Traces
from inspector.errors import LogError
from tests.edge.conftest import MakeInspection

MODEL = "inspector-edge@0123456789ab"


def attention(inspection: Inspection, picture: float = 0.3) -> Attention:
    shares = {"picture": picture, "reports": 0.2, "words": 0.8 - picture}
    pulls = {"picture": 1.5, "reports": -0.25, "words": 0.5}
    return Attention(
        inspection.inspection_id, "frame", MODEL, inspection.captured_at, "bracket", "scratch", shares, {"QC-1": 0.2}, {"3": shares},
        pulls, {"QC-1": -0.25},
    )  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def logged(path: Path, make_inspection: MakeInspection) -> list[Inspection]:
    """Four inspections: the first without a kept picture, the last a fault."""
    with Log(path, "cell-3") as log:
        rows = [make_inspection(number, image_path=None if number == 1 else f"images/{number}.png") for number in range(1, 4)]
        fault = make_inspection(4, disposition="review", image_path="images/4.png")
        rows.append(replace(fault, verdict=replace(fault.verdict, fault=True)))
        return [log.append(row) for row in rows]


def test_traces_come_back_as_they_were_written_in_the_order_of_capture(path: Path, logged: list[Inspection]) -> None:
    written = [attention(logged[2]), attention(logged[1])]
    with Traces(path, "cell-3") as traces:
        for one in written:
            traces.write([one])
        assert traces.read() == written[::-1]
        assert traces.read(logged[1].captured_at + timedelta(milliseconds=1)) == [written[0]]
    with Traces(path, "another", read_only=True) as traces:
        assert traces.read() == []


def test_what_is_traced_again_replaces_its_row(path: Path, logged: list[Inspection]) -> None:
    with Traces(path, "cell-3") as traces:
        traces.write([attention(logged[1], 0.3)])
        traces.write([attention(logged[1], 0.4)])
        assert [one.shares["picture"] for one in traces.read()] == [0.4]


def test_only_what_was_judged_and_whose_picture_was_kept_waits_for_a_trace_by_this_model(path: Path, logged: list[Inspection]) -> None:
    with Traces(path, "cell-3") as traces:
        both = [logged[1].inspection_id, logged[2].inspection_id]
        assert traces.untraced(MODEL, 10) == both
        assert traces.untraced(MODEL, 1) == both[1:], "the newest ones"
        traces.write([attention(logged[1])])
        assert traces.untraced(MODEL, 10) == both[1:]
        assert traces.untraced("other@1", 10) == both
        assert traces.untraced(MODEL, 10, since=logged[2].inspected_at + timedelta(seconds=1)) == []


def test_traces_of_plain_weights_are_not_read_and_their_inspections_wait_to_be_traced_anew(path: Path, logged: list[Inspection]) -> None:
    with Traces(path, "cell-3") as traces:
        traces.write([attention(logged[1])])
    database = open_database(path)
    database.conn.execute("UPDATE traces SET measure = 'attention'")  # as migration 9 leaves what was there
    database.close()
    with Traces(path, "cell-3") as traces:
        assert traces.read() == []
        assert logged[1].inspection_id in traces.untraced(MODEL, 10)
        traces.write([attention(logged[1])])
        assert traces.read() == [attention(logged[1])]


def test_a_trace_goes_with_its_inspection_and_never_stands_without_one(path: Path, logged: list[Inspection]) -> None:
    with Traces(path, "cell-3") as traces:
        traces.write([attention(logged[1])])
        with pytest.raises(LogError, match="write a trace"):
            traces.write([replace(attention(logged[1]), inspection_id="unknown")])
    database = open_database(path)
    database.conn.execute("DELETE FROM inspections WHERE inspection_id = ?", (logged[1].inspection_id,))
    database.close()
    with Traces(path, "cell-3", read_only=True) as traces:
        assert traces.read() == []


def test_salvage_takes_the_traces_along(path: Path, tmp_path: Path, logged: list[Inspection]) -> None:
    with Traces(path, "cell-3") as traces:
        traces.write([attention(logged[1])])
    assert salvage(path, tmp_path / "fresh.db", station="cell-3").kept["traces"] == 1
    with Traces(tmp_path / "fresh.db", "cell-3", read_only=True) as traces:
        assert traces.read() == [attention(logged[1])]
