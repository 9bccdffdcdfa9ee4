"""Drift of a share of attention: the word follows the size of a move that is certain, never a chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.core.attention import LEAST, Drift, recent_of
from inspector.core.attention import drift_of as drift_with_labels


def shares(count: int, mean: float, seed: int, spread: float = 0.05) -> list[float]:
    """Return numbers of exactly this mean and spread."""
    drawn = np.random.default_rng(seed).normal(size=count)
    return list(mean + spread * (drawn - drawn.mean()) / drawn.std(ddof=1))


def drift_of(values: list[float]) -> Drift:
    """Return the drift of verdicts with one label."""
    return drift_with_labels(values, ["good"] * len(values))


@pytest.mark.parametrize(("move", "word"), [(0.0, "steady"), (0.04, "moved"), (0.1, "drifts"), (-0.1, "drifts")])
def test_the_word_follows_how_far_the_newest_traces_have_moved(move: float, word: str) -> None:
    drift = drift_of(shares(160, 0.4, 1) + shares(40, 0.4 + move, 2))
    assert (drift.word, drift.earlier, drift.recent) == (word, 160, 40)
    assert drift.now - drift.before == pytest.approx(move, abs=1e-9)


def test_a_move_that_nobody_would_feel_is_steady_however_regular() -> None:
    assert drift_of([0.4] * 100 + [0.405] * 25).word == "steady"
    assert drift_of([0.4] * 100 + [0.45] * 25).word == "drifts"


def test_few_traces_are_called_few() -> None:
    assert drift_of([]).word == "too few"
    assert drift_of(shares(2 * LEAST - 1, 0.4, 1)).word == "too few"
    assert drift_of(shares(2 * LEAST, 0.4, 1)).word == "steady"


def test_more_defects_than_before_are_no_drift_and_a_new_label_is_not_compared() -> None:
    values = shares(100, 0.3, 1) + shares(20, 0.6, 2) + shares(30, 0.6, 3)
    drift = drift_with_labels(values, ["good"] * 100 + ["pit"] * 50)
    assert (drift.word, drift.recent) == ("steady", 30)
    assert drift.before == pytest.approx(0.6)
    assert drift_with_labels(values, ["good"] * 120 + ["pit"] * 30).word == "too few"


@given(st.integers(0, 2000))
def test_the_newest_ones_are_never_more_than_there_are(count: int) -> None:
    assert 0 <= recent_of(count) <= count


def test_steady_shares_are_hardly_ever_called_anything_else() -> None:
    words = [drift_of(np.random.default_rng(seed).normal(0.4, 0.05, 100).tolist()).word for seed in range(200)]
    assert words.count("steady") >= 195
