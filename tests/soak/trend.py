"""A trend: how fast a figure rises, with an interval that says how sure that is. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

_FEWEST = 6
"""Samples below which no interval is told."""


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line through samples."""

    per_hour: float
    """Slope, units of the figure an hour."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    """Upper end."""

    @property
    def is_flat(self) -> bool:
        """True if the interval holds 0."""
        return self.low <= 0.0 <= self.high


def trend(at_s: Sequence[float], values: Sequence[float]) -> Trend | None:
    """Fit a line by least squares; None if there are too few samples.

    Neighbouring samples resemble each other, so that n of them tell less than n independent ones: the interval is made for
    n (1 - r) / (1 + r) samples, r being the correlation of each residual with the next one (at least 0).
    """
    hours, figures = np.asarray(at_s, float) / 3600.0, np.asarray(values, float)
    if len(hours) < _FEWEST:
        return None
    fit = stats.linregress(hours, figures)
    rest = figures - fit.intercept - fit.slope * hours
    spread = float(rest @ rest)
    alike = max(0.0, float(rest[1:] @ rest[:-1]) / spread) if spread > 0 else 0.0
    worth = max(3.0, len(hours) * (1 - alike) / (1 + alike))
    deviation = float(np.sqrt(spread / (worth - 2) / worth) / hours.std())
    reach = float(stats.t.ppf(0.975, worth - 2)) * deviation
    return Trend(float(fit.slope), float(fit.slope) - reach, float(fit.slope) + reach)
