"""Histogram: how often a value fell below each of some bounds. One thread adds, any thread reads, nobody waits."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds for times on the way of a frame, seconds."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A histogram at one instant."""

    bounds: tuple[float, ...]
    """Upper bounds, rising, each included; values above the last one count too."""
    cumulative: tuple[int, ...]
    """Values up to each bound, and last all of them: one number more than bounds."""
    total: float
    """Sum of all values."""


class Histogram:
    """Counts values by bound."""

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        """Take rising upper bounds; start empty."""
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._total = 0.0

    def add(self, value: float) -> None:
        """Add one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def read(self) -> Spread:
        """Return what was added so far. From another thread the sum may lack, or hold already, the value that is being added."""
        return Spread(self._bounds, tuple(accumulate(tuple(self._counts))), self._total)
