"""The machine that numbers were taken on, and what a process has used of it."""

import os
import platform
import resource
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def machine() -> dict[str, object]:
    """Return processor, cores, load, Python and the peak memory of this process in MiB."""
    model = next((line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.processor())
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def written_bytes() -> int:
    """Return the bytes that this process has written so far, 0 where the kernel does not tell; from /proc/self/io's wchar."""
    try:
        lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("wchar:")), 0)


def spread(values_ms: Sequence[float]) -> dict[str, float]:
    """Return p50, p95, p99 and max of milliseconds; empty without values."""
    if not len(values_ms):
        return {}
    p50, p95, p99 = np.percentile(values_ms, [50, 95, 99])
    numbers = {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "max_ms": max(values_ms)}
    return {key: round(float(value), 3) for key, value in numbers.items()}


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
