"""The picture of ``trace --stats``: shares of attention over time, one panel a product, each share with its word."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inspector.core.attention import Attention, Drift, recent_of

_COLOURS = {"picture": "#1b4f72", "reports": "#d35400", "words": "#7f8c8d"}
"""Readable for the colour blind; each line bears its name as well."""
_SMOOTHED = 15
"""Traces whose mean is a point of the line."""


def draw_attention(path: Path, products: Mapping[str, Sequence[Attention]], drifts: Mapping[str, Mapping[str, Drift]], title: str) -> None:
    """Write a PNG: a dot a trace in the order of capture, a running mean, and the newest traces on grey."""
    figure = Figure((10.0, 3.4 * len(products) + 0.6), dpi=110, layout="constrained")
    figure.suptitle(f"where the verdicts looked: {title}", fontsize=10)
    for place, (product, rows) in enumerate(products.items()):
        axes = figure.add_subplot(len(products), 1, place + 1)
        _panel(axes, rows, drifts[product])
        begin, end = rows[0].captured_at, rows[-1].captured_at
        axes.set(ylabel="share of what was taken in", title=f"{product}, {len(rows)} regions", ylim=(0.0, 1.0))
        axes.set_xlabel(f"traces in the order of capture, {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC")
        axes.grid(alpha=0.3)
    figure.savefig(path)


def _panel(axes: Axes, rows: Sequence[Attention], drifts: Mapping[str, Drift]) -> None:
    """Draw the three shares of one product."""
    count = np.arange(len(rows))
    for name, drift in drifts.items():
        values = np.array([one.shares[name] for one in rows])
        width = min(_SMOOTHED, len(values))
        mean = np.convolve(values, np.full(width, 1 / width), "valid")
        axes.plot(count, values, ".", color=_COLOURS[name], alpha=0.25, markersize=4)
        axes.plot(count[width // 2 : width // 2 + len(mean)], mean, color=_COLOURS[name], label=f"{name}: {drift.word}")
    recent = recent_of(len(rows))
    axes.axvspan(len(rows) - recent - 0.5, len(rows) - 0.5, color="black", alpha=0.07, label=f"newest {recent}")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
