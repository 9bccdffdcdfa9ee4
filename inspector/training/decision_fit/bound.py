"""What n groups can prove about an escape rate. Pure; every bound holds for any n, nothing is asymptotic.

A group's loss lies in 0..1: the share of its defective pictures that passed. Groups are drawn independently from one source. If each group
holds a single defective picture the losses are 0 or 1 and the binomial tail is exact (Clopper and Pearson 1934); otherwise the
Hoeffding-Bentkus bound holds for losses of any shape (Bates et al., arXiv 2101.02703; Angelopoulos et al., arXiv 2110.01052).
Which of the two it is depends on the sizes of the groups alone, never on a verdict.
"""

import math
from dataclasses import dataclass

_MOST_GROUPS = 10_000_000


@dataclass(frozen=True, slots=True)
class Bound:
    """A test of "the escape rate is above ``rate``" that errs with probability ``1 - confidence`` at most."""

    confidence: float
    """0..1, both excluded."""
    is_exact: bool = True
    """True if each group's loss is 0 or 1 by its size: one defective picture a group."""

    def p_value(self, loss: float, groups: int, rate: float) -> float:
        """Return how probable a total loss this small is at most, were the escape rate ``rate`` or higher."""
        if groups == 0 or loss >= groups * rate:
            return 1.0
        tail = binomial_tail(math.ceil(loss - 1e-9), groups, rate)
        if self.is_exact:
            return tail
        return min(1.0, math.e * tail, math.exp(-groups * _divergence(loss / groups, rate)))

    def proves(self, loss: float, groups: int, rate: float) -> bool:
        """Tell whether a total loss over so many groups proves an escape rate of ``rate`` or less."""
        return self.p_value(loss, groups, rate) <= 1.0 - self.confidence + 1e-12

    def largest_rate(self, loss: float, groups: int) -> float:
        """Return the smallest escape rate that is proved, 1 if none is."""
        low, high = 0.0, 1.0
        if groups == 0 or not self.proves(loss, groups, high - 1e-9):
            return 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if self.proves(loss, groups, middle) else (middle, high)
        return high

    def groups_for(self, rate: float, loss_rate: float = 0.0) -> int | None:
        """Return about how many groups prove ``rate`` if a share ``loss_rate`` of loss is seen; None if no number does.

        Without loss the number is exact: fewer can never prove it.
        """
        if loss_rate >= rate:
            return None
        low, high = 0, 1
        while not self.proves(loss_rate * high, high, rate):
            low, high = high, 2 * high
            if high > _MOST_GROUPS:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.proves(loss_rate * middle, middle, rate) else (middle, high)
        return high


def binomial_tail(k: int, n: int, p: float) -> float:
    """Return the probability of at most k successes in n trials, each with probability p."""
    if k >= n or p <= 0.0:
        return 1.0
    if p >= 1.0 or k < 0:
        return 0.0
    logs = [_log_choose(n, j) + j * math.log(p) + (n - j) * math.log1p(-p) for j in range(k + 1)]
    peak = max(logs)
    return min(1.0, math.exp(peak) * math.fsum(math.exp(log - peak) for log in logs))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _divergence(seen: float, rate: float) -> float:
    """Return the Kullback-Leibler divergence of two coins, nats; ``seen`` is below ``rate``."""
    if rate >= 1.0:
        return math.inf
    below = (1 - seen) * math.log((1 - seen) / (1 - rate))
    return below if seen <= 0.0 else below + seen * math.log(seen / rate)
