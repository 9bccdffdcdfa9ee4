"""A fit in plain words: what is promised, with which confidence, on what grounds, at which price, and what more parts would buy. Pure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from inspector.training.decision_fit.evidence import Evidence
from inspector.training.decision_fit.fit import Fitted, Wish
from inspector.training.decision_fit.outlook import groups_for_promise, offer


@dataclass(frozen=True, slots=True)
class Basis:
    """What a fit stands on."""

    pictures: int
    """Judged pictures, faults included."""
    groups: int
    """Their groups."""
    defective: int
    """Defective pictures."""
    defective_groups: int
    """Groups that hold any."""
    faults: int
    """Pictures that got no verdict; they go to review."""

    @classmethod
    def of(cls, evidence: Evidence) -> "Basis":
        """Count."""
        defective = evidence.is_defective
        n_groups, n_defective = (len(np.unique(chosen)) for chosen in (evidence.groups, evidence.groups[defective]))
        return cls(len(evidence), n_groups, int(defective.sum()), n_defective, int((~evidence.is_judged).sum()))

    def line(self) -> str:
        """Return it as a line."""
        faults = f"; {self.faults} got no verdict and count as review" if self.faults else ""
        defective = f"{self.defective} defective ones in {groups(self.defective_groups)}"
        return f"{self.pictures} pictures in {groups(self.groups)}, {defective}{faults}"


def percent(share: float) -> str:
    """Return a share as per cent with three digits at most."""
    return "-" if math.isnan(share) else f"{100 * share:.3g} %"


def groups(count: int) -> str:
    """Return a number of groups."""
    return f"{count} group{'s' if count != 1 else ''}"


def promise(wish: Wish) -> str:
    """Return a promise as a sentence, with the smallest round number of parts that makes it whole."""
    kept = f"with {percent(wish.confidence)} confidence, as long as parts look like these"
    for size in (100, 1000, 10_000):
        count = round(wish.max_escape * size)
        if count >= 1 and abs(wish.max_escape * size - count) < 1e-9:
            return f"of {size} defective parts of this kind at most {count} {'passes' if count == 1 else 'pass'}, {kept}"
    return f"of defective parts of this kind at most {percent(wish.max_escape)} pass, {kept}"


def fitted_lines(fitted: Fitted, wish: Wish, basis: Basis) -> Iterator[str]:
    """Yield what a fit promises, stands on and costs."""
    if fitted.pass_above is None:
        yield "promise: none. No label means good, so nothing can pass and nothing can escape; temperature and fail_above alone are fitted"
    else:
        method = "exact binomial bound, one defective picture a group" if fitted.bound.is_exact else "Hoeffding-Bentkus bound"
        yield f"promise: {promise(wish)}"
        yield f"proved by: {groups(fitted.steps.groups)} with defective parts ({method}); each counts once, however many pictures it has"
        yield f"escapes seen: {percent(fitted.shares.escape)} of the defective pictures of a group pass, in the mean over those groups"
    yield f"seen on: {basis.line()}"
    if fitted.temperature_groups:
        yield f"temperature: {groups(fitted.temperature_groups)} with defective parts served it alone, the promise does not rest on them"
    passes = "" if fitted.pass_above is None else f"pass_above {fitted.pass_above:.12g}, "
    error = "" if fitted.ece is None else f"; probabilities are off by {percent(fitted.ece)} on average (ECE)"
    yield f"thresholds: {passes}fail_above {fitted.fail_above:.12g}, temperature {fitted.temperature:g}{error}"
    yield from _costs(fitted)
    if fitted.pass_above is not None:
        yield _smaller_promise(fitted, wish, fitted.pass_above)
        yield from _less_review(fitted, wish)


def _costs(fitted: Fitted) -> Iterator[str]:
    shares = fitted.shares
    if fitted.pass_above is None:
        yield f"review: {percent(shares.review)} of these pictures (measured, not promised)"
        yield f"wrong labels: {percent(shares.false_reject)} of these pictures fail under a wrong label (measured, not promised)"
        return
    parts = f"{percent(shares.review_good)} of the good and {percent(shares.review_defective)} of the defective ones"
    yield f"review: {percent(shares.review)} of these pictures, {parts} (measured, not promised; the line's share follows its mix)"
    yield f"false rejects: {percent(shares.false_reject)} of the good pictures fail (measured, not promised)"
    least = fitted.quickest
    if least.review < shares.review:
        limit = math.ceil(1000 * least.review) / 1000
        yield f"fewer reviews: --max-review {limit:g} is within this promise, then {percent(least.false_reject)} of the good pictures fail"


def _smaller_promise(fitted: Fitted, wish: Wish, pass_above: float) -> str:
    """Return what half the escape rate would need."""
    smaller, have = wish.max_escape / 2, fitted.steps.groups
    least, likely = fitted.bound.groups_for(smaller), groups_for_promise(fitted.steps, fitted.bound, smaller, pass_above)
    if likely is None:
        seen = f"{percent(fitted.shares.escape)} pass at this threshold; --max-escape {smaller:g} would find a stricter one"
        return f"to promise {percent(smaller)}: more parts alone would not do, {seen}"
    if likely <= have:
        return f"to promise {percent(smaller)}: these parts suffice, say --max-escape {smaller:g}"
    sure = f" ({least - have} at the very least)" if least is not None and have < least < likely else ""
    return f"to promise {percent(smaller)}: about {likely - have} more groups with defective parts{sure}, if they look like these"


def _less_review(fitted: Fitted, wish: Wish) -> Iterator[str]:
    """Yield what half the review would need."""
    if fitted.shares.review <= 0.0:
        return
    half = offer(fitted.steps, fitted.scores, fitted.bound, wish.max_escape, fitted.shares.review / 2)
    if half is None:
        yield "to halve the review: more parts to calibrate do not help, the model must become surer; train with more pictures"
    elif half.groups is None:
        passing = percent(half.loss_rate)
        yield f"to halve the review: no number of parts would do, {passing} of the defective ones would pass; train with more pictures"
    elif half.groups > fitted.steps.groups:
        more = half.groups - fitted.steps.groups
        yield f"to halve the review: about {more} more groups with defective parts, if they look like these"
