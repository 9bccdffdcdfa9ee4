"""The decision holds for any posterior and any threshold."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.core.decision import DecisionCalibration, decide, tempered
from inspector.core.inspection import Verdict
from inspector.core.label import LabelSet
from inspector.core.prediction import Prediction
from inspector.core.region import Region

LABELS = LabelSet(("good", "dent", "scratch"), "good")
REGIONS = {name: Region(name, (number, 0, 8, 8)) for number, name in enumerate(("left", "right", "top"))}
SEVERITY = {"pass": 0, "review": 1, "fail": 2}

shares = st.floats(0.0, 1.0)
posteriors = st.lists(st.floats(1e-6, 1.0), min_size=3, max_size=3).map(
    lambda weights: {name: weight / sum(weights) for name, weight in zip(LABELS.names, weights, strict=True)}
)
parts = st.lists(posteriors, min_size=1, max_size=3).map(
    lambda rows: [Prediction(region, scores, (), "model@1") for region, scores in zip(REGIONS, rows, strict=False)]
)
calibrations = st.builds(DecisionCalibration, pass_above=shares, fail_above=shares)


def region(name: str, good: float, dent: float) -> Prediction:
    return Prediction(name, {"good": good, "dent": dent, "scratch": 1 - good - dent}, (), "model@1")


@given(parts, calibrations, shares)
def test_a_raised_pass_threshold_never_passes_a_part_that_did_not_pass(
    part: list[Prediction], calibration: DecisionCalibration, other: float
) -> None:
    raised = replace(calibration, pass_above=max(calibration.pass_above, other))
    before, after = (decide(part, REGIONS, LABELS, c).disposition for c in (calibration, raised))
    assert SEVERITY[after] >= SEVERITY[before]


@given(parts, calibrations, shares)
def test_a_raised_fail_threshold_turns_a_fail_into_review_and_never_into_pass(
    part: list[Prediction], calibration: DecisionCalibration, other: float
) -> None:
    raised = replace(calibration, fail_above=max(calibration.fail_above, other))
    before, after = (decide(part, REGIONS, LABELS, c).disposition for c in (calibration, raised))
    assert (before, after) in {("pass", "pass"), ("review", "review"), ("fail", "fail"), ("fail", "review")}


@given(parts, calibrations)
def test_a_part_is_as_bad_as_its_worst_region(part: list[Prediction], calibration: DecisionCalibration) -> None:
    alone = [decide([prediction], REGIONS, LABELS, calibration).disposition for prediction in part]
    assert decide(part, REGIONS, LABELS, calibration).disposition == max(alone, key=SEVERITY.__getitem__)


@given(parts, calibrations)
def test_without_a_good_label_nothing_passes(part: list[Prediction], calibration: DecisionCalibration) -> None:
    assert decide(part, REGIONS, LabelSet(LABELS.names), calibration).disposition != "pass"


@given(parts, calibrations)
def test_findings_are_exactly_the_regions_that_do_not_pass(part: list[Prediction], calibration: DecisionCalibration) -> None:
    verdict = decide(part, REGIONS, LABELS, calibration)
    doubtful = [p.region for p in part if decide([p], REGIONS, LABELS, calibration).disposition != "pass"]
    assert [finding.region for finding in verdict.findings] == doubtful
    assert all(finding.box_px == REGIONS[finding.region].box_px for finding in verdict.findings)
    assert verdict.reason
    assert not verdict.fault


def test_one_failed_region_fails_the_part_and_the_reason_names_it() -> None:
    part = [region("left", 0.99, 0.01), region("right", 0.05, 0.9), region("top", 0.7, 0.2)]
    verdict = decide(part, REGIONS, LABELS, DecisionCalibration())
    assert verdict.disposition == "fail"
    assert verdict.reason == "right: dent 0.90"
    assert [finding.region for finding in verdict.deciding] == ["right"]
    assert [(finding.region, finding.disposition) for finding in verdict.findings] == [("right", "fail"), ("top", "review")]


def test_two_likely_defects_fail_together_though_neither_is_sure() -> None:
    verdict = decide([region("left", 0.1, 0.46)], REGIONS, LABELS, DecisionCalibration())
    assert verdict.disposition == "fail"


def test_a_threshold_that_is_just_met_counts_as_met() -> None:
    calibration = DecisionCalibration(pass_above=0.75, fail_above=0.75)
    assert decide([region("left", 0.75, 0.25)], REGIONS, LABELS, calibration).disposition == "pass"
    assert decide([region("left", 0.25, 0.75)], REGIONS, LABELS, calibration).disposition == "fail"


def test_a_doubtful_part_is_told_which_threshold_it_misses() -> None:
    verdict = decide([region("left", 0.6, 0.3)], REGIONS, LABELS, DecisionCalibration())
    assert verdict.reason == "left: good 0.60 is below pass_above 0.90"
    verdict = decide([region("left", 0.45, 0.5)], REGIONS, LABELS, DecisionCalibration())
    assert verdict.reason == "left: dent 0.50, defect 0.55 is below fail_above 0.60"


def test_a_part_of_which_no_region_was_judged_goes_to_review_as_a_fault() -> None:
    assert decide([], REGIONS, LABELS, DecisionCalibration()) == Verdict("review", (), "no region was judged", fault=True)


@given(posteriors, st.floats(0.05, 20.0))
def test_tempering_keeps_the_order_and_the_sum(scores: dict[str, float], temperature: float) -> None:
    found = tempered(scores, temperature)
    assert list(found) == list(scores)
    assert sum(found.values()) == pytest.approx(1.0)
    assert all(found[a] <= found[b] for a in scores for b in scores if scores[a] < scores[b])


@given(posteriors)
def test_a_temperature_of_one_changes_nothing(scores: dict[str, float]) -> None:
    assert tempered(scores, 1.0) == pytest.approx(scores)


@given(posteriors, st.floats(1.01, 10.0))
def test_a_higher_temperature_makes_no_label_surer_than_the_surest_was(scores: dict[str, float], temperature: float) -> None:
    assert max(tempered(scores, temperature).values()) <= max(scores.values()) + 1e-12


def test_a_label_without_any_probability_keeps_none() -> None:
    assert tempered({"good": 1.0, "dent": 0.0}, 3.0) == {"good": 1.0, "dent": 0.0}
