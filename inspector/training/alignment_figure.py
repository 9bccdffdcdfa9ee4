"""An alignment as a picture: one row a swap, the share of answers that did as they should, before and now."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from inspector.training.alignment import SWAPS, Alignment

_INTERVAL = "#d35400"
_COLOURS, _HATCHES = ("#a9bccb", "#1b4f72"), ("//", "")


def draw_alignment(path: Path, found: Sequence[Alignment], title: str) -> None:
    """Write the picture; ``found`` is the model before and the one now, or the one now alone."""
    swaps = [swap for swap in SWAPS if any(swap.name in alignment.swaps for alignment in found)]
    figure = Figure((9.5, 1.6 + 0.62 * len(swaps)), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    rows = np.arange(len(swaps))[::-1].astype(float)
    high = 0.76 / len(found)
    for number, alignment in enumerate(found):
        place = rows + high * ((len(found) - 1) / 2 - number)
        for at, swap in zip(place, swaps, strict=True):
            held = alignment.swaps.get(swap.name)
            if held is None or not held.n:
                axes.text(0.01, at, "says nothing of this model", va="center", fontsize=8, color="grey")
                continue
            look = -len(found) + number
            axes.barh(at, held.rate.value, high * 0.92, color=_COLOURS[look], hatch=_HATCHES[look], edgecolor="white")
            axes.plot([held.rate.low, held.rate.high], [at, at], "-", color=_INTERVAL, linewidth=2)
            axes.text(1.02, at, f"{100 * held.rate.value:.0f} % of {held.n}", va="center", fontsize=8)
        axes.barh(
            [np.nan],
            [0],
            color=_COLOURS[-len(found) + number],
            hatch=_HATCHES[-len(found) + number],
            edgecolor="white",
            label=alignment.model,
        )
    axes.set_yticks(rows, [f"{swap.words}\nshould {swap.should}" for swap in swaps], fontsize=8)
    axes.set(xlim=(0, 1.0), xlabel="share of answers that did as they should (line: 95 % interval)", title=title)
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.16), ncols=2, fontsize=8, frameon=False)
    figure.savefig(path, format="png")
