"""Latencies of a run: quantiles of the most recent values."""

from collections import deque

import numpy as np


class Latencies:
    """The last ``size`` values of one latency, milliseconds."""

    def __init__(self, size: int = 10_000) -> None:
        """Start empty."""
        self._values: deque[float] = deque(maxlen=size)

    def add(self, value_ms: float) -> None:
        """Add one value."""
        self._values.append(value_ms)

    def summary(self) -> dict[str, float]:
        """Return p50, p95, p99 and max in milliseconds, all 0 before the first value."""
        values = np.array(list(self._values) or [0.0])  # a copy: another thread may add meanwhile
        p50, p95, p99 = np.percentile(values, [50, 95, 99])
        numbers = {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "max_ms": values.max()}
        return {name: round(float(value), 1) for name, value in numbers.items()}
