"""The record of an inspection: its id, its evaluation, and which label it is said to be."""

import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.core.inspection import Disposition, Finding, Inspection, Verdict, inspection_id
from inspector.core.prediction import Prediction

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
frames = st.text(min_size=1, max_size=20)
instants = st.integers(0, 2**62)
keys = st.tuples(names, names, frames, instants)


def inspection(verdict: Verdict, predictions: tuple[Prediction, ...] = ()) -> Inspection:
    instant = datetime(2026, 3, 1, tzinfo=UTC)
    return Inspection("id", "s1", "line", "f1", "screw", instant, instant, 1.0, verdict, predictions)


def prediction(region: str, good: float, *reports: str) -> Prediction:
    return Prediction(region, {"good": good, "dent": 1 - good}, reports, "model@1")


@given(keys)
def test_the_same_frame_has_the_same_id_whenever_it_is_asked(key: tuple[str, str, str, int]) -> None:
    assert inspection_id(*key) == inspection_id(*key)
    assert uuid.UUID(inspection_id(*key)).version == 5


@given(keys, keys)
def test_two_frames_share_an_id_only_if_station_camera_frame_and_instant_agree(
    one: tuple[str, str, str, int], other: tuple[str, str, str, int]
) -> None:
    assert (inspection_id(*one) == inspection_id(*other)) == (one == other)


@pytest.mark.parametrize("changed", [("s2", "line", "f1", 5), ("s1", "top", "f1", 5), ("s1", "line", "f2", 5), ("s1", "line", "f1", 6)])
def test_station_camera_frame_and_instant_each_change_the_id(changed: tuple[str, str, str, int]) -> None:
    assert inspection_id(*changed) != inspection_id("s1", "line", "f1", 5)


def test_an_id_never_changes_between_versions() -> None:
    """Subscribers drop doubles by this id across restarts and updates."""
    assert inspection_id("s1", "line", "f1", 1_767_225_600_000_000_000) == "5052201d-d6a3-50d7-9604-72c2848905ee"


@pytest.mark.parametrize(("disposition", "word"), [("pass", "OK"), ("fail", "NotOK"), ("review", "NotDecidable")])
def test_a_judged_part_is_evaluated_in_the_words_of_opc_40001(disposition: Disposition, word: str) -> None:
    assert Verdict(disposition, (), "").evaluation == word


def test_a_fault_is_evaluated_as_undefined_and_goes_to_review() -> None:
    verdict = Verdict.undecided("no picture", fault=True)
    assert (verdict.evaluation, verdict.disposition, verdict.findings) == ("Undefined", "review", ())


def test_a_failed_part_is_named_after_its_surest_failed_region() -> None:
    findings = (
        Finding("left", "good", 0.8, None, "review"),
        Finding("right", "dent", 0.7, None, "fail"),
        Finding("top", "crack", 0.75, None, "fail"),
    )
    record = inspection(Verdict("fail", findings, ""))
    assert (record.label, record.confidence) == ("crack", 0.75)


def test_a_passed_part_is_as_sure_as_its_least_sure_region() -> None:
    record = inspection(Verdict("pass", (), ""), (prediction("left", 0.99), prediction("right", 0.93)))
    assert (record.label, record.confidence) == ("good", 0.93)


def test_a_fault_has_neither_label_nor_confidence() -> None:
    record = inspection(Verdict.undecided("no picture", fault=True))
    assert (record.label, record.confidence) == (None, None)


def test_each_report_that_a_region_read_is_listed_once_in_order() -> None:
    record = inspection(Verdict("pass", (), ""), (prediction("left", 0.99, "QC-2", "QC-1"), prediction("right", 0.93, "QC-2", "QC-3")))
    assert record.report_ids == ("QC-2", "QC-1", "QC-3")
