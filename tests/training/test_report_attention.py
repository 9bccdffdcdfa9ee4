"""Telling against other reports: pairs are chosen from before the picture, order is balanced, intervals are over groups."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inspector.core.report import Report
from inspector.training.picture import Picture
from inspector.training.report_attention import GivenReports, compare_reports, contrary, telling

START = datetime(2026, 1, 1, tzinfo=UTC)


def report(name: str, day: int, lot: str, label: str | None) -> Report:
    return Report(name, START + timedelta(days=day), "screw", f"{label} here", lot=lot, label=label)


HISTORY = [
    report("a1", 1, "A", "pit"), report("a2", 2, "A", "pit"), report("a9", 9, "A", "pit"), report("g3", 3, "A", "good"),
    report("b1", 1, "B", "good"), report("n", 1, "A", None),
]  # fmt: skip


def picture(label: str, lot: str | None = "A", day: float = 5.0) -> Picture:
    return Picture(Path("part.png"), label, "val", lot or "-", START + timedelta(days=day), lot=lot)


def test_a_telling_report_is_the_newest_of_the_lot_from_before_the_picture_that_names_its_label() -> None:
    assert telling(picture("pit"), HISTORY) == HISTORY[1]
    assert telling(picture("pit", day=1.5), HISTORY) == HISTORY[0]
    assert telling(picture("pit", day=1.0), HISTORY) is None
    assert telling(picture("pit", lot="B"), HISTORY) is None


def test_a_contrary_report_names_another_label_of_the_same_lot_if_there_is_one() -> None:
    assert contrary(picture("pit"), HISTORY) == HISTORY[3]
    assert contrary(picture("good", lot="B"), HISTORY) == HISTORY[1]
    assert contrary(picture("pit"), [HISTORY[5]]) is None, "a report without a label contradicts nothing"


def looking(prefer: str, first_slot: float) -> object:
    """A model that gives more to reports that hold a word, and some more to whatever stands first."""

    def look(_: Picture, reports: tuple[Report, ...]) -> dict[str, NDArray[np.float32]]:
        shares = np.array([(3.0 if prefer in one.text else 1.0) + (first_slot if not place else 0.0) for place, one in enumerate(reports)])
        return {"weight": np.ones(2), "share": shares, "pull": shares - 2.0}

    return look


PICTURES = [picture("pit"), picture("pit", day=6), picture("good", lot="B"), picture("pit", lot="C")]


def test_a_model_that_prefers_what_is_told_is_found_out_and_one_that_looks_at_places_is_not() -> None:
    found = compare_reports(looking("pit", 0.0), PICTURES, HISTORY)  # type: ignore[arg-type]
    foreign = found["foreign"]["share"]
    assert (foreign.n, foreign.groups) == (3, 2), "a lot without a telling report is left out"
    assert foreign.per_label["pit"].value == pytest.approx(0.75)
    assert foreign.per_label["good"].value == pytest.approx(0.5)
    assert found["contrary"]["share"].per_label["good"].value == pytest.approx(0.25), "the contrary report speaks of a pit"
    assert foreign.more.value == pytest.approx(2 / 3)
    blind = compare_reports(looking("nothing says this", 5.0), PICTURES, HISTORY)["foreign"]["share"]  # type: ignore[arg-type]
    assert blind.preference.value == pytest.approx(0.5), "order is balanced"
    assert not blind.holds
    assert found["foreign"]["weight"].preference.value == pytest.approx(0.5)


def test_of_a_pull_which_may_be_below_zero_it_counts_how_often_the_telling_report_has_more() -> None:
    pulls = compare_reports(looking("pit", 0.0), PICTURES, HISTORY)["foreign"]["pull"]  # type: ignore[arg-type]
    assert [pulls.telling, pulls.other] == pytest.approx([1 / 3, -1.0])
    assert pulls.preference == pulls.more
    assert [pulls.preference.value, pulls.per_label["good"].value] == pytest.approx([2 / 3, 0.0])
    assert compare_reports(looking("here", 0.0), PICTURES, HISTORY)["foreign"]["pull"].holds  # type: ignore[arg-type]


def test_it_holds_only_beyond_the_interval_and_nothing_to_compare_is_no_finding() -> None:
    assert compare_reports(looking("here", 0.0), PICTURES, HISTORY)["foreign"]["share"].holds  # type: ignore[arg-type]
    empty = compare_reports(looking("here", 0.0), PICTURES, [])["foreign"]["share"]  # type: ignore[arg-type]
    assert (empty.n, empty.holds) == (0, False)
    assert empty.to_dict()["preference"] == {"value": None, "low": None, "high": None}


def test_given_reports_are_given_as_they_are() -> None:
    vectors = np.ones((1, 3), np.float32)
    assert GivenReports((HISTORY[0],), vectors).relevant("x", "s", None, START) == ((HISTORY[0],), vectors)
