"""Judged pictures as numbers: raw posteriors and truths for the fit, and what thresholds see of them under a temperature. Pure.

n pictures, R regions, K labels. The group is the unit that is drawn: pictures of one group are never treated as independent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from inspector.training.judged import Judged

NEVER = -1.0
"""Score of a picture that no threshold lets pass, or fail."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Labelled pictures and what the model says of them before any temperature."""

    posterior: NDArray[np.float64]
    """(n, R, K) probabilities at temperature 1; NaN where nothing was judged."""
    truths: NDArray[np.int64]
    """(n,) columns of the true labels."""
    groups: NDArray[np.int64]
    """(n,) number of each picture's group, 0 .. number of groups - 1."""
    good: int | None
    """Column of the good label; None: nothing can pass."""

    def __len__(self) -> int:
        """Return n."""
        return len(self.truths)

    @property
    def labels(self) -> int:
        """K."""
        return self.posterior.shape[2]

    @property
    def is_defective(self) -> NDArray[np.bool_]:
        """(n,) pictures whose true label is a defect."""
        return np.asarray(self.truths != (-1 if self.good is None else self.good), np.bool_)

    @property
    def is_judged(self) -> NDArray[np.bool_]:
        """(n,) pictures of which the model gave a posterior."""
        return np.asarray(~np.isnan(self.posterior).any((1, 2)), np.bool_)

    def taken(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Evidence":
        """Return some of the pictures; groups keep their numbers."""
        return Evidence(self.posterior[chosen], self.truths[chosen], self.groups[chosen], self.good)


@dataclass(frozen=True, slots=True)
class Scores:
    """What thresholds see: a picture fails if ``failing >= fail_above``, else passes if ``passing >= pass_above``, else is reviewed."""

    passing: NDArray[np.float64]
    """(n,) least probability of good over the regions if good is the most probable label of each, else ``NEVER``."""
    failing: NDArray[np.float64]
    """(n,) largest probability of a defect over the regions in which a defect is the most probable label; ``NEVER`` without one."""
    label_is_wrong: NDArray[np.bool_]
    """(n,) pictures whose most probable label (of the region that decides) is not the true one."""


def evidence_of(judged: "Judged") -> Evidence:
    """Return judged pictures as numbers. They must have been judged at temperature 1."""
    regions = max((len(inspection.predictions) for inspection in judged.inspections), default=1) or 1
    posterior = np.full((len(judged.pictures), regions, len(judged.names)), np.nan)
    for row, inspection in enumerate(judged.inspections):
        for place, prediction in enumerate(inspection.predictions):
            posterior[row, place] = [prediction.scores[name] for name in judged.names]
    good = None if judged.good is None else judged.names.index(judged.good)
    return Evidence(posterior, judged.truths, numbered(judged.groups), good)


def numbered(groups: Sequence[str]) -> NDArray[np.int64]:
    """Return the number of each group in the order of their names."""
    return np.unique(np.array(groups, str), return_inverse=True)[1].astype(np.int64)


def tempered_rows(posterior: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return posteriors (..., K) raised to ``1 / temperature`` and renormalised."""
    powered = (posterior / posterior.max(-1, keepdims=True)) ** (1.0 / temperature)
    return np.asarray(powered / powered.sum(-1, keepdims=True))


def deciding(evidence: Evidence) -> NDArray[np.float64]:
    """Return (m, K) raw posteriors of the judged pictures; of several regions the one least sure of being good."""
    posterior = evidence.posterior[evidence.is_judged]
    doubt = posterior[:, :, evidence.good] if evidence.good is not None else -posterior.max(2)
    return np.asarray(posterior[np.arange(len(posterior)), doubt.argmin(1)])


def scores(evidence: Evidence, temperature: float) -> Scores:
    """Return what thresholds see. A picture that was not judged has ``NEVER`` twice: it goes to review."""
    judged = evidence.is_judged
    passing, failing, wrong = np.full(len(evidence), NEVER), np.full(len(evidence), NEVER), np.zeros(len(evidence), bool)
    rows = tempered_rows(evidence.posterior[judged], temperature)
    top, good = rows.argmax(2), evidence.good
    if good is None:
        failing[judged] = rows.max(2).max(1)
    else:
        is_good = top == good
        passing[judged] = np.where(is_good.all(1), rows[:, :, good].min(1), NEVER)
        failing[judged] = np.where(is_good, NEVER, 1.0 - rows[:, :, good]).max(1)
    wrong[judged] = deciding(evidence).argmax(1) != evidence.truths[judged]
    return Scores(passing, failing, wrong)
