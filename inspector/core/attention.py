"""Attention as numbers to follow: the shares of picture, reports and words in what a verdict took in, and whether they drift.

A share that moves while parts and reports stay what they were is an early sign that picture and text no longer go together:
another lens, another wording of the reports, another model. Pure: no clock, no file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

DriftWord: TypeAlias = Literal["too few", "steady", "moved", "drifts"]
SHARES = ("picture", "reports", "words")
"""What a verdict takes in; the three shares sum to 1."""
MEASURE = "mixed"
"""How shares are measured: by what was mixed in. Traces of the first kind, ``attention``, held plain weights: not to be compared."""
LEAST = 20
"""Traces that each side of a comparison needs."""
_RECENT = 0.2
"""The newest part of the traces is held against all before it."""
_SURE = 3.3
"""Standard errors from which on a difference is taken for real (two-sided p about .001: three shares are looked at, again and again)."""
_MOVED, _DRIFTS = 0.5, 1.0
"""Differences in standard deviations (Cohen 1988: 0.5 is a medium effect)."""
_FELT = 0.01
"""A smaller difference of a share is called steady, however regular it is."""


@dataclass(frozen=True, slots=True)
class Attention:
    """What the verdict on one region of a logged inspection looked at."""

    inspection_id: str
    """Which inspection."""
    region: str
    """Which region."""
    model: str
    """``name@revision`` that was traced; shares of two models cannot be compared."""
    captured_at: datetime
    """When the picture was taken, UTC."""
    product: str
    """The product."""
    label: str
    """The most probable label."""
    shares: Mapping[str, float]
    """Share of ``SHARES`` in what was mixed in, mean over layers, 0..1."""
    reports: Mapping[str, float]
    """Share of each report by its id."""
    layers: Mapping[str, Mapping[str, float]]
    """Shares by number of the layer."""
    pulls: Mapping[str, float]
    """What each of ``SHARES`` did to the log-odds of the label; below 0 it spoke against it."""
    report_pulls: Mapping[str, float]
    """The same of each report by its id."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How one share stands now against before."""

    word: DriftWord
    """``steady``; ``moved``: for certain, by half a standard deviation or more; ``drifts``: by one or more; ``too few`` traces to say."""
    before: float
    """Mean before of verdicts with the newest ones' labels, 0..1; NaN without any."""
    now: float
    """Mean of the newest traces that are compared; NaN without any."""
    earlier: int
    """Traces before."""
    recent: int
    """Newest traces that are compared: those whose label was there before."""


def recent_of(count: int) -> int:
    """Return how many of so many traces are the newest ones that are held against the others."""
    return min(count, max(LEAST, round(_RECENT * count)))


def drift_of(values: Sequence[float], labels: Sequence[str]) -> Drift:
    """Return how a share, oldest first, stands now against before: each verdict against earlier ones of its own label.

    More defects than before move the shares as well and are no misalignment; so a label's earlier mean is what its newest verdicts are held
    against, and those of a label that was not there before are left out. Difference of means in standard deviations, Welch's error.
    """
    recent = recent_of(len(values))
    cut = len(values) - recent
    means = {label: _mean([value for value, own in zip(values[:cut], labels[:cut], strict=True) if own == label]) for label in labels[:cut]}
    kept = [(value, means[label]) for value, label in zip(values[cut:], labels[cut:], strict=True) if label in means]
    newest, expected = np.array(kept, np.float64).reshape(-1, 2).T
    before, now = _mean(expected), _mean(newest)
    if cut < LEAST or len(kept) < LEAST:
        return Drift("too few", before, now, cut, len(kept))
    earlier = np.array([value - means[label] for value, label in zip(values[:cut], labels[:cut], strict=True)])
    spread, difference = float(earlier.std(ddof=1)), abs(now - before)
    error = float(np.sqrt(earlier.var(ddof=1) / cut + (newest - expected).var(ddof=1) / len(kept)))
    word: DriftWord = "steady"
    if difference >= _FELT and difference > _SURE * error:
        word = "drifts" if difference >= _DRIFTS * spread else "moved" if difference >= _MOVED * spread else "steady"
    return Drift(word, before, now, cut, len(kept))


def _mean(values: Sequence[float] | NDArray[np.float64]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
