"""A fit keeps the wish or refuses, whatever the pictures are."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inspector.core.decision import DecisionCalibration, decide, tempered
from inspector.core.label import LabelSet
from inspector.core.prediction import Prediction
from inspector.core.region import Region
from inspector.training.decision_fit.evidence import NEVER, Evidence, numbered, scores
from inspector.training.decision_fit.fit import Fitted, Refused, Wish, fit
from inspector.training.decision_fit.outlook import offer
from inspector.training.decision_fit.temperature import calibration_error, fit_temperature
from inspector.training.decision_fit.thresholds import between, steps
from tests.training.decision_fit.synthetic import synthetic

LABELS = LabelSet(("good", "dent", "scratch"), "good")


def fitted(evidence: Evidence, wish: Wish) -> Fitted:
    found = fit(evidence, wish)
    assert isinstance(found, Fitted)
    return found


def refused(evidence: Evidence, wish: Wish) -> Refused:
    found = fit(evidence, wish)
    assert isinstance(found, Refused)
    return found


def single(posterior: NDArray[np.float64], truths: list[int], good: int | None = 0) -> Evidence:
    return Evidence(posterior[:, None, :], np.array(truths), np.arange(len(truths)), good)


@given(
    st.lists(st.lists(st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3), min_size=2, max_size=2), min_size=1, max_size=6),
    st.floats(0.3, 3.0),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0),
    st.booleans(),
)
def test_scores_and_thresholds_say_what_the_station_decides(
    weights: list[list[list[float]]], temperature: float, pass_above: float, fail_above: float, with_good: bool
) -> None:
    raw = np.array(weights) / np.array(weights).sum(2, keepdims=True)
    labels = LABELS if with_good else LabelSet(LABELS.names)
    seen = scores(Evidence(raw, np.zeros(len(raw), np.int64), np.arange(len(raw)), 0 if with_good else None), temperature)
    for row, part in enumerate(raw):
        near = [abs(score - limit) for score, limit in ((seen.passing[row], pass_above), (seen.failing[row], fail_above))]
        if min(near) < 1e-9:
            continue  # a rounding error apart
        regions = [Prediction(str(n), tempered(dict(zip(LABELS.names, p, strict=True)), temperature), (), "m") for n, p in enumerate(part)]
        calibration = DecisionCalibration(temperature, pass_above, fail_above)
        verdict = decide(regions, {"0": Region("0"), "1": Region("1")}, labels, calibration)
        expected = "fail" if seen.failing[row] >= fail_above else "pass" if seen.passing[row] >= pass_above else "review"
        assert verdict.disposition == expected


@given(st.integers(0, 50), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_raising_pass_above_never_lets_more_escape(seed: int, one: float, other: float) -> None:
    evidence = synthetic(60, sizes=(1, 2, 5), seed=seed)
    found = steps(evidence, scores(evidence, 1.0).passing)
    assert found.loss_at(max(one, other)) <= found.loss_at(min(one, other)) + 1e-12


def test_each_group_counts_once_however_many_pictures_it_has() -> None:
    posterior = np.array([[0.9, 0.1]] * 10 + [[0.1, 0.9]])
    evidence = replace(single(posterior, [1] * 11), groups=numbered(["plate"] * 10 + ["other"]))
    found = steps(evidence, scores(evidence, 1.0).passing)
    assert (found.groups, found.is_single) == (2, False)
    assert found.loss_at(0.5) == pytest.approx(1.0)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([2, 3]), st.sampled_from([(1,), (1, 4)]))
def test_whatever_is_fitted_is_proved_by_the_groups_that_the_temperature_has_not_seen(
    seed: int, labels: int, sizes: tuple[int, ...]
) -> None:
    found = fit(synthetic(260, labels=labels, sizes=sizes, seed=seed), Wish(0.05))
    if isinstance(found, Fitted):
        assert found.pass_above is not None
        assert found.bound.proves(found.steps.loss_at(found.pass_above), found.steps.groups, 0.05)
        assert 0.5 <= found.pass_above <= 1.0
        assert 0.5 <= found.fail_above <= 1.0
        assert (found.temperature_groups > 0) == (labels > 2)


def test_too_few_groups_are_refused_however_many_pictures_they_have() -> None:
    evidence = synthetic(12, sizes=(60,), seed=1)
    assert refused(evidence, Wish(0.01)).cause == "few"
    assert refused(evidence.taken(~evidence.is_defective), Wish(0.01)).cause == "few"


def test_with_more_than_two_labels_the_temperature_has_groups_of_its_own_and_needs_them() -> None:
    perfect = np.array([[0.9, 0.05, 0.05]] * 50 + [[0.05, 0.9, 0.05]] * 50)
    truths = [0] * 50 + [1] * 50
    needed = 22  # of a promise of 10 %
    for defective, cause in ((needed + 4, "few"), (needed + 5, None)):
        evidence = single(perfect[: 50 + defective], truths[: 50 + defective])
        found = fit(evidence, Wish(0.1))
        assert (found.cause if isinstance(found, Refused) else None) == cause
    two = Evidence(np.delete(perfect, 2, 1)[:, None] / 0.95, np.array(truths), np.arange(100), 0).taken(np.arange(50 + needed))
    assert fitted(two, Wish(0.1)).steps.groups == needed


def test_defects_that_look_better_than_any_good_part_are_refused_instead_of_letting_nothing_pass() -> None:
    posterior = np.array([[0.8, 0.2]] * 30 + [[0.95, 0.05]] * 30)
    assert refused(single(posterior, [0] * 30 + [1] * 30), Wish(0.1)).cause == "hidden"


def test_a_review_budget_that_cannot_be_kept_is_refused_with_what_can_be_reached() -> None:
    evidence = synthetic(400, seed=2)
    free = fitted(evidence, Wish(0.05))
    found = refused(evidence, Wish(0.05, max_review=0.01))
    assert found.cause == "review"
    assert found.least_review is not None
    assert 0.01 < found.least_review <= free.shares.review
    assert fitted(evidence, Wish(0.05, max_review=found.least_review)).shares.review == pytest.approx(found.least_review)
    assert refused(evidence, Wish(0.05, max_review=found.least_review - 0.002)).cause == "review"
    cheaper = offer(found.steps, found.scores or scores(evidence, 1.0), found.bound, 0.05, 0.01)
    assert cheaper is not None
    assert cheaper.proved > 0.05
    assert fitted(evidence, Wish(cheaper.proved + 1e-6, max_review=0.01)).shares.review <= 0.01


def test_a_larger_review_budget_never_fails_more_good_parts() -> None:
    evidence = synthetic(400, seed=3)
    found = [fitted(evidence, Wish(0.08, max_review=budget)) for budget in (0.1, 0.15, 0.2, 0.25, 0.9)]
    rates = [fit_.shares.false_reject for fit_ in found]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 0.05
    assert rates[-1] <= 0.01
    assert found[-1].shares == fitted(evidence, Wish(0.08)).shares, "reviews that spare nobody are not made"


def test_without_a_good_label_nothing_can_pass_and_the_rest_is_fitted() -> None:
    evidence = replace(synthetic(200, labels=3, seed=4), good=None)
    found = fitted(evidence, Wish(0.01))
    assert found.pass_above is None
    assert found.temperature != 1.0
    budget = fitted(evidence, Wish(0.01, max_review=0.05))
    assert budget.shares.review <= 0.05


def test_pictures_without_a_verdict_go_to_review_and_never_pass() -> None:
    evidence = synthetic(300, seed=5)
    posterior = evidence.posterior.copy()
    posterior[:100] = np.nan
    found = fitted(replace(evidence, posterior=posterior), Wish(0.05))
    assert found.shares.review >= 1 / 3
    assert (found.scores.passing[:100] == NEVER).all()
    missing = replace(evidence, posterior=np.full_like(posterior, np.nan), good=None)
    assert refused(missing, Wish(0.05, max_review=0.5)).least_review == 1.0


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_spoilt_a_posterior_is_found_again(temperature: float) -> None:
    rng = np.random.default_rng(6)
    true = rng.dirichlet((0.6, 0.6, 0.6), 6000)
    truths = np.array([rng.choice(3, p=row) for row in true])
    spoilt = true**temperature / (true**temperature).sum(1, keepdims=True)
    assert fit_temperature(spoilt, truths) == pytest.approx(temperature, rel=0.08)
    cured = calibration_error(spoilt, truths, fit_temperature(spoilt, truths))
    assert cured is not None
    assert cured < 0.02


def test_pictures_that_are_all_judged_rightly_do_not_make_the_model_sure_of_everything() -> None:
    rows = np.tile([0.8, 0.2], (20, 1))
    few, many = (fit_temperature(np.tile([0.8, 0.2], (n, 1)), np.zeros(n, np.int64)) for n in (3, 300))
    assert 0.25 < many < few
    assert fit_temperature(rows[:0], np.zeros(0, np.int64)) == 1.0


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_threshold_between_two_scores_bars_the_lower_and_lets_the_higher_pass(one: float, other: float) -> None:
    low, high = sorted((one, other))
    if low < high:
        assert low < between(low, high) <= high
