"""What more labelled parts would buy: a smaller promise or less review. Estimates, if further parts are like these. Pure."""

from dataclasses import dataclass

import numpy as np

from inspector.training.decision_fit.bound import Bound
from inspector.training.decision_fit.evidence import Scores
from inspector.training.decision_fit.fit import review_share
from inspector.training.decision_fit.thresholds import LEAST, Steps


@dataclass(frozen=True, slots=True)
class Offer:
    """A pass threshold that keeps a wish for few reviews, and what it would need."""

    pass_above: float
    """The strictest threshold that keeps the wish."""
    review: float
    """Share of reviews with it, 0..1."""
    loss_rate: float
    """Share of defective pictures that pass with it, each group counted once, 0..1."""
    proved: float
    """Escape rate that these groups prove for it, 0..1."""
    groups: int | None
    """Groups with defective parts that would prove the promise in hand; None if no number would."""


def groups_for_promise(steps: Steps, bound: Bound, rate: float, pass_above: float) -> int | None:
    """Return how many groups with defective parts would prove ``rate`` at a pass threshold; None if no number would."""
    return bound.groups_for(rate, steps.loss_at(pass_above) / steps.groups)


def offer(steps: Steps, seen: Scores, bound: Bound, max_escape: float, max_review: float) -> Offer | None:
    """Return the strictest pass threshold with few enough reviews; None if even the lowest one has more."""
    for pass_above in (*(float(np.nextafter(score, 2.0)) for score in steps.score if score >= LEAST), LEAST):
        review = review_share(seen, pass_above)
        if review <= max_review:
            loss = steps.loss_at(pass_above)
            needed = bound.groups_for(max_escape, loss / steps.groups)
            return Offer(pass_above, review, loss / steps.groups, bound.largest_rate(loss, steps.groups), needed)
    return None
