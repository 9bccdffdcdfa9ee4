"""A promise holds for what it was fitted with, and for nothing easier."""

from datetime import UTC, datetime

import pytest

from inspector.core.decision_calibration import DecisionCalibration

FIT = DecisionCalibration(1.2, 0.93, 0.7, 400, 0.01, 0.02, datetime(2026, 11, 24, tzinfo=UTC), 0.9, 240, 0.05, 0.01, "edge@abc")


def test_another_model_keeps_no_promise() -> None:
    assert FIT.under("edge@abc") == FIT
    other = FIT.under("edge@def")
    assert (other.target_escape, other.confidence, other.groups) == (None, None, 0)
    assert (other.pass_above, other.fail_above, other.fitted_on) == (0.93, 0.7, 400)


@pytest.mark.parametrize(("pass_above", "kept"), [(None, 0.01), (0.93, 0.01), (0.99, 0.01), (0.92, None)])
def test_a_pass_made_easier_by_hand_voids_the_promise_and_a_harder_one_keeps_it(pass_above: float | None, kept: float | None) -> None:
    used = FIT.overruled(pass_above, 0.5)
    assert used.target_escape == kept
    assert (used.pass_above, used.fail_above) == (pass_above or 0.93, 0.5)


def test_defaults_are_no_fit() -> None:
    assert not DecisionCalibration().is_fitted
    assert FIT.is_fitted
