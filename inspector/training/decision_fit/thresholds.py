"""Thresholds from scores: the pass that keeps a promise, the fail that spares good parts. Pure.

``pass_above`` is found as in risk-controlling prediction sets (Bates et al., arXiv 2101.02703): escapes can only grow as it sinks, so
it may sink until the next defective picture that would pass makes the bound fail, and no further. Raising it afterwards keeps the promise.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.training.decision_fit.bound import Bound
from inspector.training.decision_fit.evidence import NEVER, Evidence, Scores

LEAST = 0.5
"""A pass is always more probable than not, whatever the promise allows."""
FALSE_REJECTS = 0.01
"""Share of good parts that may fail where no review budget is set."""


@dataclass(frozen=True, slots=True)
class Steps:
    """How escapes grow as pass_above sinks: between two scores of defective pictures nothing changes."""

    score: NDArray[np.float64]
    """(m,) passing scores of defective pictures, falling and different."""
    loss: NDArray[np.float64]
    """(m,) total loss over groups once pictures down to this score pass; a group's loss is the share of its defective pictures."""
    groups: int
    """Groups with defective pictures."""
    is_single: bool
    """True if each of them holds a single one."""

    def loss_at(self, pass_above: float) -> float:
        """Return the total loss at a threshold."""
        passed = int((self.score >= pass_above).sum())
        return float(self.loss[passed - 1]) if passed else 0.0

    def barred(self, bound: Bound, rate: float) -> float | None:
        """Return the highest score that may not pass if ``rate`` is to be proved: pass_above must be above it.

        ``NEVER`` if all may pass, None if the groups prove nothing of the kind even if none passes.
        """
        if not bound.proves(0.0, self.groups, rate):
            return None
        allowed = bisect_left(range(len(self.loss)), 1, key=lambda step: not bound.proves(float(self.loss[step]), self.groups, rate))
        return float(self.score[allowed]) if allowed < len(self.score) else NEVER


def steps(evidence: Evidence, passing: NDArray[np.float64]) -> Steps:
    """Return the steps of (n,) passing scores."""
    defective = evidence.is_defective
    groups, sizes = np.unique(evidence.groups[defective], return_counts=True)
    share = 1.0 / sizes[np.searchsorted(groups, evidence.groups[defective])]
    values, place = np.unique(-passing[defective], return_inverse=True)
    loss = np.cumsum(np.bincount(place, share, len(values)).astype(np.float64))
    can_pass = -values > NEVER
    return Steps(-values[can_pass], loss[can_pass], len(groups), bool((sizes == 1).all()))


def pass_thresholds(passing: NDArray[np.float64], is_good: NDArray[np.bool_], barred: float) -> tuple[float, ...]:
    """Return two values of pass_above that keep the promise, the better one first; none if no good picture passes.

    The first lies between what may not pass and the least sure good picture that may, in the middle in log-odds: it costs no good
    picture its pass, and stops defective ones that the promise would let through. The second lets those pass too: the fewest reviews.
    """
    may_pass = (passing > barred) & (passing >= LEAST)
    if not (may_pass & is_good).any():
        return ()
    floor = max(barred, LEAST)
    return tuple(between(floor, float(passing[chosen].min())) for chosen in (may_pass & is_good, may_pass))


def between(below: float, top: float) -> float:
    """Return a short number above ``below`` and not above ``top``, near their middle in log-odds. ``below`` itself if both are equal."""
    if below >= top:
        return top
    middle = 1.0 / (1.0 + math.exp(-(_log_odds(below) + _log_odds(top)) / 2))
    for digits in range(2, 13):
        rounded = math.ceil(middle * 10**digits) / 10**digits
        if below < rounded <= top:
            return rounded
    return top


def fail_threshold(seen: Scores, is_harmed: NDArray[np.bool_], reviewed: int, budget: int | None, *, least: float = LEAST) -> float | None:
    """Return fail_above: at most ``FALSE_REJECTS`` of the harmed pictures fail, with as few reviews as that takes.

    Where these are more than ``budget``, it sinks as far as the budget asks. None if no threshold keeps the budget. ``is_harmed`` are
    pictures that should not fail, ``reviewed`` those that go to review whatever it is.
    """
    may_fail, n_harmed = seen.failing > NEVER, int(is_harmed.sum())
    candidates = _fail_candidates(seen.failing[may_fail & is_harmed], seen.failing[may_fail & ~is_harmed], least)
    sparing = [c for c in candidates if (seen.failing[is_harmed] >= c).sum() <= FALSE_REJECTS * n_harmed]
    wanted = sparing[-1] if sparing else candidates[0]
    if budget is None:
        return wanted
    return next((c for c in candidates if c <= wanted and reviewed + (may_fail & (seen.failing < c)).sum() <= budget), None)


def _fail_candidates(harmed: NDArray[np.float64], rightly: NDArray[np.float64], least: float) -> list[float]:
    """Return thresholds, highest first: each one spares all harmed pictures up to a score; the last is ``least``."""
    found = []
    for score in np.unique(harmed[harmed >= least])[::-1]:
        higher = np.concatenate([harmed[harmed > score], rightly[rightly > score]])
        top = float(higher.min()) if len(higher) else 1.0
        if top > score:
            found.append(between(float(score), top))
    return [*found, least]


def _log_odds(share: float) -> float:
    kept = min(max(share, 1e-12), 1.0 - 1e-12)
    return math.log(kept / (1.0 - kept))
