"""Normality: distances to good patches, and what they do to a verdict."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.core.decision import decide
from inspector.core.decision_calibration import DecisionCalibration
from inspector.core.inspection import Verdict
from inspector.core.label import LabelSet
from inspector.core.normality import Normality, NormalityCalibration, PatchMemory, picture_score
from inspector.core.prediction import Prediction
from inspector.core.region import Region

TWO = LabelSet(("good", "dent"), "good")
ALONE = LabelSet(("good",), "good")


def decided(normality: Normality | None, good: float = 0.99, labels: LabelSet = TWO) -> Verdict:
    scores = {"good": good, "dent": 1 - good} if labels is TWO else {"good": 1.0}
    return decide([Prediction("frame", scores, (), "m@1", normality)], {"frame": Region("frame")}, labels, DecisionCalibration())


def calibration(patches: np.ndarray, limit: float = 1.0) -> NormalityCalibration:
    return NormalityCalibration(PatchMemory.of(patches), "n.npz", limit, 0.99, 99, 99, "m@1")


def test_distances_are_those_to_the_nearest_patch_in_memory() -> None:
    rng = np.random.default_rng(0)
    memory, features = rng.normal(size=(50, 8)).astype(np.float32), rng.normal(size=(20, 8)).astype(np.float32)
    brute = np.linalg.norm(features[:, None] - memory[None], axis=2).min(axis=1)
    assert PatchMemory.of(memory).distances(features) == pytest.approx(brute, abs=1e-4)


def test_a_picture_whose_patches_are_all_in_memory_scores_about_nothing_and_a_strange_patch_raises_it() -> None:
    patches = np.random.default_rng(1).normal(size=(16, 4)).astype(np.float32)
    known = calibration(patches).judge(patches.reshape(4, 4, 4))
    strange = patches.reshape(4, 4, 4).copy()
    strange[2, 3] += 9.0
    found = calibration(patches).judge(strange)
    assert known.score < 0.01
    assert known.is_normal
    assert not found.is_normal
    assert found.patches is not None
    assert divmod(int(found.patches.argmax()), 4) == (2, 3)


def test_a_feature_that_is_not_finite_is_an_error_and_never_a_normal_part() -> None:
    features = np.full((2, 2, 4), np.nan, np.float32)
    with pytest.raises(ValueError, match="not finite"):
        calibration(np.ones((3, 4), np.float32)).judge(features)


@given(st.lists(st.floats(0, 100, width=32), min_size=1, max_size=64))
def test_a_pictures_score_lies_between_the_mean_and_the_highest_of_its_patches(scores: list[float]) -> None:
    found = np.array(scores, np.float32)
    assert found.mean() - 1e-3 <= picture_score(found) <= found.max() + 1e-3


def test_a_part_that_would_pass_but_is_unlike_any_good_part_goes_to_review_with_score_and_limit() -> None:
    verdict = decided(Normality(2.5, 2.0))
    assert verdict.disposition == "review"
    assert verdict.reason == "frame: unlike any good part seen (score 2.5, limit 2)"
    assert [finding.disposition for finding in verdict.findings] == ["review"]


@pytest.mark.parametrize("good", [0.0, 0.1, 0.5, 0.8, 0.95, 1.0])
def test_normality_takes_a_pass_away_and_gives_none(good: float) -> None:
    without, like, unlike = (decided(found, good).disposition for found in (None, Normality(1.0, 2.0), Normality(3.0, 2.0)))
    assert like == without
    assert unlike == ("review" if without == "pass" else without)


def test_with_good_parts_alone_a_part_passes_by_its_normality_and_never_without_one() -> None:
    assert decided(Normality(1.0, 2.0), labels=ALONE).disposition == "pass"
    assert "like the good parts seen (score 1, limit 2)" in decided(Normality(1.0, 2.0), labels=ALONE).reason
    assert decided(Normality(3.0, 2.0), labels=ALONE).disposition == "review"
    without = decided(None, labels=ALONE)
    assert without.disposition == "review"
    assert "run inspector calibrate normality" in without.reason
