"""What a finite number of groups proves about an escape rate."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from inspector.training.decision_fit.bound import Bound, binomial_tail

rates = st.floats(0.001, 0.5)
counts = st.integers(1, 400)


@given(st.integers(0, 30), st.integers(31, 2000), st.floats(0.0, 1.0))
def test_the_tail_is_that_of_the_binomial_distribution(k: int, n: int, p: float) -> None:
    assert binomial_tail(k, n, p) == pytest.approx(float(stats.binom.cdf(k, n, p)), abs=1e-9)


def test_one_per_cent_needs_230_groups_of_which_none_passes() -> None:
    bound = Bound(0.9)
    assert bound.groups_for(0.01) == math.ceil(math.log(0.1) / math.log(0.99)) == 230
    assert Bound(0.9, is_exact=False).groups_for(0.01) == 230
    assert bound.proves(0.0, 230, 0.01)
    assert not bound.proves(0.0, 229, 0.01)
    assert not bound.proves(1.0, 230, 0.01)


def test_two_groups_prove_next_to_nothing() -> None:
    assert Bound(0.9).largest_rate(0.0, 2) == pytest.approx(1 - 0.1**0.5, abs=1e-6)
    assert Bound(0.9).largest_rate(0.0, 0) == Bound(0.9).largest_rate(2.0, 2) == 1.0


def test_what_is_seen_as_often_as_promised_is_proved_by_no_number_of_groups() -> None:
    assert Bound(0.9).groups_for(0.01, 0.01) is None
    few, many = Bound(0.9).groups_for(0.01), Bound(0.9).groups_for(0.01, 0.005)
    assert few is not None
    assert many is not None
    assert few < many < 5000


@given(rates, counts, st.floats(0.0, 1.0), st.booleans())
def test_the_smallest_rate_that_is_proved_is_the_edge_of_what_is_proved(rate: float, groups: int, share: float, exact: bool) -> None:
    bound, loss = Bound(0.9, exact), float(round(share * groups))
    edge = bound.largest_rate(loss, groups)
    assert bound.proves(loss, groups, rate) or rate <= edge + 1e-6
    assert not bound.proves(loss, groups, rate) or rate >= edge - 1e-6


@given(rates, counts, st.floats(0.0, 40.0), st.floats(0.0, 5.0), st.booleans())
def test_more_loss_never_proves_more(rate: float, groups: int, loss: float, more: float, exact: bool) -> None:
    bound = Bound(0.9, exact)
    assert bound.p_value(loss, groups, rate) <= bound.p_value(loss + more, groups, rate) + 1e-9


@given(rates, counts, st.integers(0, 40))
def test_the_bound_for_losses_of_any_shape_is_never_bolder_than_the_exact_one(rate: float, groups: int, loss: int) -> None:
    assert Bound(0.9, is_exact=False).p_value(loss, groups, rate) >= Bound(0.9).p_value(loss, groups, rate) - 1e-12


@pytest.mark.parametrize("shape", ["single", "shares"])
def test_a_rate_just_above_the_promise_is_taken_for_proved_no_more_often_than_stated(shape: str) -> None:
    rng, rate, groups, draws = np.random.default_rng(5), 0.05, 120, 4000
    losses = rng.binomial(4, rate, (draws, groups)) / 4 if shape == "shares" else rng.random((draws, groups)) < rate
    bound = Bound(0.9, is_exact=shape == "single")
    broken = sum(bound.proves(float(total), groups, rate) for total in losses.sum(1))
    assert broken <= stats.binom.ppf(1 - 1e-6, draws, 0.1)
    assert broken > 0.02 * draws or shape == "shares", "an exact bound that never errs is not exact"
