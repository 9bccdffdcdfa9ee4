"""A trial: what a fit would catch, on pictures that it has not seen, good and defective ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Trial:
    """Scores of pictures that are no part of the fit."""

    good: NDArray[np.float64]
    """(g,) scores of good pictures, one or more."""
    defective: NDArray[np.float64]
    """(d,) scores of defective pictures, one or more."""

    @property
    def auroc(self) -> float:
        """Probability that a defective picture scores above a good one, ties counted half (Mann and Whitney 1947)."""
        above = (self.defective[:, None] > self.good).mean()
        return float(above + 0.5 * (self.defective[:, None] == self.good).mean())

    def beyond(self, limit: float) -> tuple[float, float]:
        """Return the shares of good and of defective pictures above a limit, 0..1."""
        return float((self.good > limit).mean()), float((self.defective > limit).mean())

    def caught(self, review: float) -> float:
        """Return the share of defective pictures above the limit that sends at most a share ``review`` of these good pictures to review."""
        return self.beyond(float(np.quantile(self.good, 1.0 - review, method="higher")))[1]
