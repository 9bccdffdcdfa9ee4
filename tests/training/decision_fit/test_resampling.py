"""The promise is kept: refitted on groups drawn anew, it is broken no more often than its confidence says."""

import numpy as np
import pytest
from scipy import stats

from inspector.training.decision_fit.bound import Bound
from inspector.training.decision_fit.evidence import Evidence, scores
from inspector.training.decision_fit.fit import Fitted, Wish, fit
from inspector.training.decision_fit.resampling import escape_rate, resample
from inspector.training.decision_fit.thresholds import LEAST, steps
from tests.training.decision_fit.synthetic import synthetic

FOLDS = 200
MOST_BROKEN = int(stats.binom.ppf(1 - 1e-6, FOLDS, 0.1))
"""More than this come by chance once in a million, if the promise holds with 90 % confidence."""


@pytest.mark.parametrize("labels", [2, 4])
@pytest.mark.parametrize("sizes", [(1,), (1, 3, 6)])
def test_refitted_200_times_the_promise_is_broken_no_more_often_than_stated(labels: int, sizes: tuple[int, ...]) -> None:
    pool = synthetic(1500, labels=labels, sizes=sizes, seed=1)
    done = resample(pool, Wish(0.05), groups=300, folds=FOLDS, seed=2)
    assert done.promised > 0.9 * FOLDS, "a test of promises needs promises"
    assert done.broken <= MOST_BROKEN
    assert np.nanmean(done.escapes) > 0.002, "a threshold that lets nothing pass would prove nothing"
    assert np.nanmean(done.reviews) < 0.8


def test_the_bound_is_tight_and_a_naive_threshold_breaks_the_same_promise() -> None:
    pool, rng, bound, rate = synthetic(1500, seed=3, defective=1.0), np.random.default_rng(4), Bound(0.9), 0.05
    broken = {"bound": 0, "naive": 0}
    for _ in range(FOLDS):
        drawn = pool.taken(rng.integers(len(pool), size=300))
        drawn = Evidence(drawn.posterior, drawn.truths, np.arange(len(drawn)), 0)
        found = steps(drawn, scores(drawn, 1.0).passing)
        barred = found.barred(bound, rate)
        assert barred is not None
        naive = found.score[found.loss > rate * found.groups]
        broken["bound"] += escape_rate(pool, 1.0, float(np.nextafter(max(barred, 0.0), 2))) > rate
        broken["naive"] += escape_rate(pool, 1.0, float(np.nextafter(naive[0], 2))) > rate
    assert 0 < broken["bound"] <= MOST_BROKEN
    assert broken["naive"] > MOST_BROKEN


def test_a_temperature_fitted_with_two_labels_changes_nothing_of_what_passes() -> None:
    evidence = synthetic(400, seed=5)
    wish = Wish(0.05)
    found = fit(evidence, wish)
    assert isinstance(found, Fitted)
    assert found.pass_above is not None
    assert found.temperature != pytest.approx(1.0, abs=0.05)
    raw = steps(evidence, scores(evidence, 1.0).passing)
    barred = raw.barred(found.bound, wish.max_escape)
    assert barred is not None
    passes = scores(evidence, found.temperature).passing >= found.pass_above
    assert not (passes & (scores(evidence, 1.0).passing <= max(barred, LEAST - 1e-9))).any()


def test_drawing_is_repeatable() -> None:
    pool = synthetic(200, seed=6)
    one, two = (resample(pool, Wish(0.1), groups=100, folds=5, seed=7) for _ in range(2))
    assert np.array_equal(one.escapes, two.escapes, equal_nan=True)
    assert one.chance == pytest.approx(two.chance)
