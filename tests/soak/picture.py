"""The soak's picture: four curves over time, each with its trend."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

from tests.soak.sampling import Sample
from tests.soak.trend import Trend

_PANELS = (("rss_mib",), ("descriptors", "threads"), ("wal_kib",), ("p50_ms", "p99_ms"))
"""Which figures share a panel."""


def draw(path: Path, samples: Sequence[Sample], titles: Mapping[str, str], trends: Mapping[str, Trend | None], heading: str) -> None:
    """Write the picture as PNG."""
    figure, panels = plt.subplots(2, 2, figsize=(12, 7), sharex=True)
    minutes = [sample.at_s / 60 for sample in samples]
    for panel, names in zip(panels.flat, _PANELS, strict=True):
        for name in names:
            panel.plot(minutes, [getattr(sample, name) for sample in samples], label=_label(titles[name], trends[name]), linewidth=1.2)
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
        panel.legend(loc="lower right", fontsize=9)
    for panel in panels[1]:
        panel.set_xlabel("minutes")
    figure.suptitle(heading)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _label(title: str, line: Trend | None) -> str:
    if line is None:
        return title
    return f"{title}: {line.per_hour:+.2g} an hour ({line.low:+.2g} .. {line.high:+.2g})"
