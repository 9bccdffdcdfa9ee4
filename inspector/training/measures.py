"""What a station's verdicts on labelled pictures are worth: rates with intervals that respect groups. Pure numbers, no picture is opened.

Intervals are percentile bootstrap intervals over *groups* (parts, boards, plates): pictures of one group stand or fall together, so they
are drawn together (Davison and Hinkley 1997, section 3.8). n pictures, K labels.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.training.decision_fit.temperature import calibration_error
from inspector.training.judged import Judged

RESAMPLES = 1000
"""Draws of groups behind an interval."""
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its interval."""

    value: float
    """The share, 0..1; NaN if there is nothing to count."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end."""

    def to_dict(self) -> dict[str, float | None]:
        """Return rounded numbers for JSON; null where there was nothing to count."""
        names = ("value", "low", "high")
        return {name: None if np.isnan(getattr(self, name)) else round(float(getattr(self, name)), 5) for name in names}


@dataclass(frozen=True, slots=True)
class LabelMeasure:
    """One label."""

    n: int
    """Pictures that truly bear it."""
    recall: Rate
    """Share of them that got it."""
    false_alarms: Rate
    """Share of the other pictures that got it."""


@dataclass(frozen=True, slots=True)
class Measures:
    """All numbers of one product."""

    n: int
    """Pictures with a posterior."""
    unjudged: int
    """Pictures without one: quality, region or model were at fault. They went to review and are left out of the rates of labels."""
    groups: int
    """Groups of the pictures."""
    accuracy: Rate
    """Share whose most probable label is the true one."""
    macro_f1: Rate
    """F1 averaged over the labels that occur."""
    ece: float
    """Expected calibration error, 10 bins of equal width (Guo et al. 2017, arXiv 1706.04599)."""
    per_label: dict[str, LabelMeasure]
    """Each label."""
    escapes: Rate
    """Share of defective pictures that pass at the station's thresholds; NaN without a good label."""
    false_rejects: Rate
    """Share of good pictures that fail."""
    reviews: Rate
    """Share of all pictures that go to review."""
    confusion: NDArray[np.int64]
    """(K, K) counts, rows true, columns answered."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document. ``accuracy``, ``macro_f1``, ``ece`` and ``n`` are plain numbers, their intervals stand beside them."""
        labels = {
            name: {"n": label.n, "recall": label.recall.to_dict(), "false_alarms": label.false_alarms.to_dict()}
            for name, label in self.per_label.items()
        }
        rates = {"accuracy": self.accuracy, "macro_f1": self.macro_f1}
        document: dict[str, Any] = {"n": self.n, "unjudged": self.unjudged, "groups": self.groups, "ece": round(self.ece, 5)}
        for name, rate in rates.items():
            document |= {name: rate.to_dict()["value"], f"{name}_interval": [rate.to_dict()["low"], rate.to_dict()["high"]]}
        decided = {"escapes": self.escapes.to_dict(), "false_rejects": self.false_rejects.to_dict(), "reviews": self.reviews.to_dict()}
        return document | {"per_label": labels, "at_thresholds": decided, "confusion": self.confusion.tolist()}


def measure(judged: Judged, seed: int = 0) -> Measures:
    """Return the numbers; ``seed`` draws the groups of the intervals."""
    has: NDArray[np.bool_] = np.asarray(~np.isnan(judged.posterior).any(1), np.bool_)
    answers = np.where(has, np.nan_to_num(judged.posterior).argmax(1), -1)
    draws = draws_of(judged.groups, seed)
    truths, count = judged.truths, len(judged.names)
    good = judged.names.index(judged.good) if judged.good is not None else -2
    outcome = np.array([inspection.verdict.disposition for inspection in judged.inspections])
    is_good: NDArray[np.bool_] = np.asarray(truths == good, np.bool_)

    def rate(hit: Any, among: NDArray[np.bool_]) -> Rate:  # noqa: ANN401 - a comparison of arrays, which numpy types as a scalar too
        return rate_of(hit, among, judged.groups, draws)

    per_label = {
        name: LabelMeasure(int((truths[has] == k).sum()), rate(answers == k, has & (truths == k)), rate(answers == k, has & (truths != k)))
        for k, name in enumerate(judged.names)
    }
    confusion = np.zeros((count, count), np.int64)
    np.add.at(confusion, (truths[has], answers[has]), 1)
    f1 = [_macro_f1(truths[chosen][has[chosen]], answers[chosen][has[chosen]], count) for chosen in draws]
    no_good = np.zeros_like(has)
    error = calibration_error(judged.posterior[has], truths[has], 1.0)
    return Measures(
        n=int(has.sum()),
        unjudged=int((~has).sum()),
        groups=len(set(judged.groups)),
        accuracy=rate(np.asarray(answers == truths, np.bool_), has),
        macro_f1=_interval(f1, _macro_f1(truths[has], answers[has], count)),
        ece=float("nan") if error is None else error,
        per_label=per_label,
        escapes=rate(outcome == "pass", ~is_good if judged.good is not None else no_good),
        false_rejects=rate(outcome == "fail", is_good),
        reviews=rate(outcome == "review", np.ones_like(has)),
        confusion=confusion,
    )


def difference(one: Judged, other: Judged, seed: int = 0) -> Rate:
    """Return by how much the accuracy of ``one`` is above that of ``other`` on the same pictures, -1..1, with its paired interval."""
    right = [np.nan_to_num(judged.posterior, nan=-1.0).argmax(1) == judged.truths for judged in (one, other)]
    return mean_over_groups(right[0].astype(float) - right[1].astype(float), one.groups, seed)


def mean_over_groups(values: NDArray[np.float64], groups: tuple[str, ...], seed: int = 0) -> Rate:
    """Return the mean of (n,) values with its 95 % interval over groups; NaN without any."""
    drawn = [float(values[chosen].mean()) for chosen in draws_of(groups, seed)]
    return _interval(drawn, float(values.mean()) if len(values) else float("nan"))


def rate_of(hit: NDArray[np.bool_], among: NDArray[np.bool_], groups: tuple[str, ...], draws: list[NDArray[np.int64]]) -> Rate:
    """Return the share of ``hit`` (n,) among ``among`` (n,) with its interval over the groups; ``draws`` are those of ``draws_of``."""
    drawn = [_share(hit[chosen], among[chosen]) for chosen in draws]
    return _exact_at_the_ends(_interval(drawn, _share(hit, among)), len(set(np.array(groups)[among])))


def draws_of(groups: tuple[str, ...], seed: int) -> list[NDArray[np.int64]]:
    """Return the rows of each resample: as many groups as there are, drawn with replacement, each with all of its pictures."""
    names = sorted(set(groups))
    rows = [np.flatnonzero(np.array(groups) == name) for name in names]
    rng = np.random.default_rng(seed)
    return [np.concatenate([rows[k] for k in rng.integers(len(rows), size=len(rows))]) for _ in range(RESAMPLES)] if rows else []


def _share(hit: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return float(hit[among].mean()) if among.any() else float("nan")


def _interval(drawn: list[float], value: float) -> Rate:
    """Return a rate with its percentile interval; draws without anything to count are left out."""
    known = [share for share in drawn if not np.isnan(share)]
    if not known or np.isnan(value):
        return Rate(value, float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Rate(value, float(low), float(high))


def _exact_at_the_ends(rate: Rate, groups: int) -> Rate:
    """Return a rate of 0 or 1 with the exact bound of so many groups (Clopper and Pearson 1934): a bootstrap sees no doubt there."""
    room = ((1 - _LEVEL) / 2) ** (1 / max(groups, 1))
    if rate.value == 1.0:
        return Rate(1.0, room, 1.0)
    return Rate(0.0, 0.0, 1.0 - room) if rate.value == 0.0 else rate


def _macro_f1(truths: NDArray[np.int64], answers: NDArray[np.int64], count: int) -> float:
    """Return F1 averaged over the labels that truly occur; NaN without pictures."""
    scores = []
    for label in range(count):
        true, told = truths == label, answers == label
        if true.any():
            scores.append(2 * float((true & told).sum()) / float(true.sum() + told.sum()))
    return float(np.mean(scores)) if scores else float("nan")
