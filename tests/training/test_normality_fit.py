"""The fit of normality: a coreset that covers, a limit that keeps its promise, and refusals."""

import numpy as np
import pytest
from numpy.typing import NDArray

from inspector.errors import CalibrationError
from inspector.training.normality_fit import fit as fitting
from inspector.training.normality_fit.coreset import greedy_coreset
from inspector.training.normality_fit.fit import GoodPictures, fit, group_worst, groups_for, refuse_too_few
from inspector.training.normality_fit.trial import Trial


def parts(count: int, seed: int, pictures: int = 1) -> GoodPictures:
    """Return pictures of parts: 8 patches of 6 channels each, parts differ a little, pictures of one part less."""
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(count, 1, 8, 6)).repeat(pictures, axis=0)
    features = own + 0.1 * rng.normal(size=own.shape)
    return GoodPictures(features.astype(np.float16), tuple(f"part{n // pictures}" for n in range(count * pictures)))


def test_a_coreset_leaves_no_patch_as_far_as_a_random_choice_does() -> None:
    rng = np.random.default_rng(0)
    cloud = np.concatenate([rng.normal(size=(500, 16)), rng.normal(20.0, 1.0, size=(4, 16))]).astype(np.float32)
    chosen = greedy_coreset(cloud, 20)
    assert len(set(chosen.tolist())) == 20

    def worst(rows: np.ndarray) -> float:
        return float(np.linalg.norm(cloud[:, None] - cloud[rows][None], axis=2).min(axis=1).max())

    assert set(chosen.tolist()) & set(range(500, 504)), "the few far ones are remembered"
    assert worst(chosen) < worst(np.arange(20))


def test_fewer_patches_than_the_coreset_are_all_kept_and_equal_ones_end_it_in_peace() -> None:
    assert greedy_coreset(np.eye(3, dtype=np.float32), 10).tolist() == [0, 1, 2]
    assert len(set(greedy_coreset(np.ones((30, 4), np.float32), 10).tolist())) == 10


def test_good_parts_of_the_same_kind_go_to_review_as_rarely_as_promised() -> None:
    shares = []
    for seed in range(20):
        fitted = fit(parts(60, seed), 0.9)
        shares.append((fitted.scores(parts(60, 1000 + seed).features) > fitted.limit).mean())
    assert np.mean(shares) <= 0.1 + 0.02  # 20 x 60 new parts; the promise speaks of the mean


def test_pictures_of_one_part_are_held_out_together_and_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, sizes = parts(20, 3, pictures=5), list[int]()
    remember = fitting.remember

    def counted(features: NDArray[np.float16]) -> NDArray[np.float16]:
        sizes.append(len(features))
        return remember(features)

    monkeypatch.setattr(fitting, "remember", counted)
    fitted = fit(pictures, 0.9)
    assert fitted.groups == 20
    assert sizes == [90] * 10 + [100]


def test_a_groups_score_is_that_of_its_worst_picture() -> None:
    assert group_worst(np.array([1.0, 5.0, 2.0, 3.0]), ("b", "a", "b", "a")).tolist() == [5.0, 2.0]


@pytest.mark.parametrize(("keep", "groups"), [(0.5, 1), (0.9, 9), (0.95, 19), (0.99, 99), (0.999, 999)])
def test_a_promise_takes_as_many_groups_as_its_quantile_needs(keep: float, groups: int) -> None:
    assert groups_for(keep) == groups
    assert refuse_too_few(groups, keep) == groups
    if groups > 1:
        with pytest.raises(CalibrationError, match=f"takes {groups} groups of good parts, there (is|are) {groups - 1}"):
            refuse_too_few(groups - 1, keep)


def test_the_smaller_promise_that_a_refusal_offers_is_granted() -> None:
    with pytest.raises(CalibrationError, match=r"show 68 more good parts, or ask for less: --keep 0\.968"):
        refuse_too_few(31, 0.99)
    assert refuse_too_few(31, 0.968) == 31


def test_the_bound_on_this_very_fit_is_looser_than_its_promise_and_tightens_with_groups() -> None:
    few, many = fit(parts(20, 1), 0.9), fit(parts(80, 1), 0.9)
    assert few.largest_review(0.9) > many.largest_review(0.9) > 0.1


def test_a_trial_counts_what_is_above() -> None:
    trial = Trial(np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.5, 5.0]))
    assert trial.auroc == pytest.approx(7 / 8)
    assert trial.beyond(3.0) == (0.25, 1.0)
    assert trial.caught(0.01) == 0.5
    assert Trial(np.ones(3), np.ones(2)).auroc == 0.5
