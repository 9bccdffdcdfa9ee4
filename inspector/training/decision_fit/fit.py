"""The whole fit: evidence and a wish in, a calibration that keeps the wish out, or the reason why none does. Pure.

What is exchangeable is the group: the part, board or plate. The promise is about the next groups from the same source, and its loss is the
share of a group's defective pictures that pass. With two labels a temperature changes no order of pictures, so the thresholds let
the same pictures pass whatever it is, and all groups serve temperature and thresholds. With more labels it does change the order: then
some groups, chosen by their numbers alone, fit the temperature, and the others, which it has not seen, the threshold of a pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.training.decision_fit.bound import Bound
from inspector.training.decision_fit.evidence import Evidence, Scores, deciding, scores
from inspector.training.decision_fit.temperature import calibration_error, fit_temperature
from inspector.training.decision_fit.thresholds import LEAST, Steps, fail_threshold, pass_thresholds, steps

LEAST_FOR_TEMPERATURE = 5
"""Groups with defective parts that the temperature needs where it has groups of its own."""
_TEMPERATURE_SHARE = 0.2
_SEED = 20_170_806


@dataclass(frozen=True, slots=True)
class Wish:
    """What the calibration should keep."""

    max_escape: float
    """Largest share of defective parts that may pass, between 0 and 1."""
    confidence: float = 0.9
    """Probability with which a fit keeps it, between 0 and 1."""
    max_review: float | None = None
    """Largest share of the pictures that may go to review; None: what the promise takes, and what keeps false rejects at 1 %."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Where the pictures of the fit go, 0..1; NaN where there are no such pictures."""

    review: float
    """All pictures to review."""
    review_good: float
    """Good pictures to review."""
    review_defective: float
    """Defective pictures to review."""
    false_reject: float
    """Good pictures that fail; without a good label, pictures that fail under a wrong label."""
    escape: float
    """Loss over the groups of the threshold: mean share of a group's defective pictures that pass."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibration and what was seen on the pictures of the fit."""

    temperature: float
    """See ``DecisionCalibration``."""
    pass_above: float | None
    """None: the product has no good label, nothing can pass."""
    fail_above: float
    """See ``DecisionCalibration``."""
    shares: Shares
    """Where the pictures go."""
    ece: float | None
    """Expected calibration error, 0..1: on the groups of the threshold where the temperature has its own."""
    steps: Steps
    """How escapes grow as pass_above sinks."""
    bound: Bound
    """What proves the promise."""
    quickest: Shares
    """Where the pictures would go with the fewest reviews that the promise allows: everything fails that is more likely a defect."""
    temperature_groups: int
    """Groups with defective parts that only the temperature has seen."""
    scores: Scores
    """What the thresholds see of all pictures."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing can be promised, and why."""

    cause: str
    """few: too few groups. hidden: none of the good ones may pass. review: more reviews than wished."""
    bound: Bound
    """What was to prove the promise."""
    steps: Steps
    """How escapes grow as pass_above sinks."""
    scores: Scores | None = None
    """What the thresholds see of all pictures; None if there was no temperature to see them with."""
    pass_above: float | None = None
    """Lowest threshold that the promise allows, where there is one."""
    least_review: float | None = None
    """Smallest share of reviews with this promise, 0..1."""


def fit(evidence: Evidence, wish: Wish) -> Fitted | Refused:
    """Fit a product's temperature and thresholds."""
    if evidence.good is None:
        return _without_good(evidence, wish)
    raw = steps(evidence, scores(evidence, 1.0).passing)
    bound = Bound(wish.confidence, raw.is_single)
    own = _temperature_groups(evidence, raw.groups, bound, wish)
    if own is None:
        return Refused("few", bound, raw)
    for_temperature = np.isin(evidence.groups, own) if len(own) else np.ones(len(evidence), bool)
    temperature = _temperature(evidence.taken(for_temperature))
    others = ~for_temperature if len(own) else for_temperature
    seen, rest = scores(evidence, temperature), evidence.taken(others)
    found = steps(rest, seen.passing[others])
    barred = found.barred(bound, wish.max_escape)
    if barred is None:
        return Refused("few", bound, found, seen)
    offers = pass_thresholds(seen.passing, ~evidence.is_defective, barred)
    if not offers:
        return Refused("hidden", bound, found, seen)
    chosen = _thresholds(evidence, seen, offers, wish)
    if chosen is None:
        return Refused("review", bound, found, seen, offers[-1], review_share(seen, offers[-1]))
    pass_above, fail_above = chosen
    escape = found.loss_at(pass_above) / found.groups
    shares, quickest = (_shares(evidence, seen, pass_above, threshold, escape) for threshold in (fail_above, LEAST))
    own_groups, error = raw.groups - found.groups, _error(rest, temperature)
    return Fitted(temperature, pass_above, fail_above, shares, error, found, bound, quickest, own_groups, seen)


def _thresholds(evidence: Evidence, seen: Scores, offers: Sequence[float], wish: Wish) -> tuple[float, float] | None:
    """Return pass_above, the first of the offers that the budget of reviews allows, and fail_above; None if none does."""
    for pass_above in offers:
        reviewed = int(_goes_to_review(seen, pass_above, LEAST).sum())
        fail_above = fail_threshold(seen, ~evidence.is_defective, reviewed, _budget(evidence, wish))
        if fail_above is not None:
            return pass_above, fail_above
    return None


def review_share(seen: Scores, pass_above: float) -> float:
    """Return the share of reviews at a pass threshold if everything fails that may."""
    return float(_goes_to_review(seen, pass_above, LEAST).mean())


def _without_good(evidence: Evidence, wish: Wish) -> Fitted | Refused:
    """Fit what there is to fit where nothing can pass: temperature and fail_above."""
    temperature = _temperature(evidence)
    seen = scores(evidence, temperature)
    bound, none = Bound(wish.confidence), Steps(np.zeros(0), np.zeros(0), 0, is_single=True)
    budget, unjudged = _budget(evidence, wish), int((~evidence.is_judged).sum())
    fail_above = fail_threshold(seen, seen.label_is_wrong, unjudged, budget, least=LEAST if budget is None else 0.0)
    if fail_above is None:
        return Refused("review", bound, none, seen, None, unjudged / len(evidence))
    shares = _shares(evidence, seen, None, fail_above, 0.0)
    return Fitted(temperature, None, fail_above, shares, _error(evidence, temperature), none, bound, shares, 0, seen)


def _temperature_groups(evidence: Evidence, defective: int, bound: Bound, wish: Wish) -> NDArray[np.int64] | None:
    """Return the groups that fit the temperature alone: none with two labels, where it cannot touch the promise.

    Returns None if the groups with defective parts do not suffice. Their number and the random order decide, no verdict does.
    """
    needed = bound.groups_for(wish.max_escape)
    if needed is None or defective < needed:
        return None
    if evidence.labels == 2:
        return np.zeros(0, np.int64)
    count = min(defective - needed, max(LEAST_FOR_TEMPERATURE, round(_TEMPERATURE_SHARE * defective)))
    if count < LEAST_FOR_TEMPERATURE:
        return None
    with_defects = np.unique(evidence.groups[evidence.is_defective])
    others = np.setdiff1d(np.unique(evidence.groups), with_defects)
    rng = np.random.default_rng(_SEED)
    chosen = [rng.permutation(members)[: round(count / defective * len(members))] for members in (with_defects, others)]
    return np.concatenate(chosen)


def _temperature(evidence: Evidence) -> float:
    return round(fit_temperature(deciding(evidence), evidence.truths[evidence.is_judged]), 4)


def _error(evidence: Evidence, temperature: float) -> float | None:
    return calibration_error(deciding(evidence), evidence.truths[evidence.is_judged], temperature)


def _budget(evidence: Evidence, wish: Wish) -> int | None:
    """Return how many pictures may go to review."""
    return None if wish.max_review is None else int(wish.max_review * len(evidence) + 1e-9)


def _goes_to_review(seen: Scores, pass_above: float | None, fail_above: float) -> NDArray[np.bool_]:
    passes = seen.passing >= pass_above if pass_above is not None else np.zeros(len(seen.passing), bool)
    return ~passes & (seen.failing < fail_above)


def _shares(evidence: Evidence, seen: Scores, pass_above: float | None, fail_above: float, escape: float) -> Shares:
    review, fails, defective = _goes_to_review(seen, pass_above, fail_above), seen.failing >= fail_above, evidence.is_defective
    harmed = fails[~defective] if evidence.good is not None else (fails & seen.label_is_wrong)
    return Shares(_mean(review), _mean(review[~defective]), _mean(review[defective]), _mean(harmed), escape)


def _mean(flags: NDArray[np.bool_]) -> float:
    return float(flags.mean()) if len(flags) else float("nan")
