"""The proof by doing: fit again and again on groups drawn from a pool, and count how often the promise is broken. Pure.

The pool is taken for the world: each draw takes groups independently and with replacement, so the true escape rate of every fit is known
exactly (the mean over the pool's groups), and the promise must hold in a share ``confidence`` of the draws.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.training.decision_fit.bound import binomial_tail
from inspector.training.decision_fit.evidence import Evidence, scores
from inspector.training.decision_fit.fit import Fitted, Wish, fit
from inspector.training.decision_fit.thresholds import steps


@dataclass(frozen=True, slots=True)
class Resampled:
    """What the draws came to."""

    wish: Wish
    """What each fit was to keep."""
    escapes: NDArray[np.float64]
    """(folds,) true escape rate of each fit; NaN where it refused to promise."""
    reviews: NDArray[np.float64]
    """(folds,) share of the pictures drawn that went to review; NaN where it refused."""

    @property
    def promised(self) -> int:
        """Number of fits that promised."""
        return int((~np.isnan(self.escapes)).sum())

    @property
    def broken(self) -> int:
        """Number of promises that the world does not keep."""
        return int((self.escapes > self.wish.max_escape + 1e-12).sum())

    @property
    def chance(self) -> float:
        """Probability of at least so many broken promises, were each draw's promise kept with exactly the stated confidence."""
        return 1.0 - binomial_tail(self.broken - 1, len(self.escapes), 1.0 - self.wish.confidence)


def resample(pool: Evidence, wish: Wish, groups: int, folds: int, seed: int) -> Resampled:
    """Fit ``folds`` times, each on ``groups`` groups drawn from the pool."""
    rng = np.random.default_rng(seed)
    order = np.argsort(pool.groups, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(pool.groups[order])) + 1)
    escapes, reviews = np.full(folds, np.nan), np.full(folds, np.nan)
    for fold in range(folds):
        found = fit(_drawn(pool, members, rng.integers(len(members), size=groups)), wish)
        if isinstance(found, Fitted):
            escapes[fold], reviews[fold] = escape_rate(pool, found.temperature, found.pass_above), found.shares.review
    return Resampled(wish, escapes, reviews)


def escape_rate(pool: Evidence, temperature: float, pass_above: float | None) -> float:
    """Return the share of a group's defective pictures that pass, in the mean over groups with any."""
    if pass_above is None:
        return 0.0
    found = steps(pool, scores(pool, temperature).passing)
    return found.loss_at(pass_above) / found.groups


def _drawn(pool: Evidence, members: list[NDArray[np.int64]], draws: NDArray[np.int64]) -> Evidence:
    """Return the groups drawn; one that was drawn twice is two groups."""
    rows = [members[draw] for draw in draws]
    chosen = pool.taken(np.concatenate(rows))
    numbers = np.repeat(np.arange(len(draws)), [len(row) for row in rows])
    return Evidence(chosen.posterior, chosen.truths, numbers, pool.good)
