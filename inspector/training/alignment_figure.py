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
    looks = zip(found, _COLOURS[-len(found) :], _HATCHES[-len(found) :], strict=True)
    for number, (alignment, colour, hatch) in enumerate(looks):
        place = rows + high * ((len(found) - 1) / 2 - number)
        held = [alignment.swaps.get(swap.name) for swap in swaps]
        values = [one.rate.value if one is not None else float("nan") for one in held]
        axes.barh(place, values, high * 0.92, color=colour, hatch=hatch, edgecolor="white", label=alignment.model)
        for at, one in zip(place, held, strict=True):
            if one is None or not one.n:
                axes.text(0.01, at, "says nothing of this model", va="center", fontsize=8, color="grey")
                continue
            axes.plot([one.rate.low, one.rate.high], [at, at], "-", color=_INTERVAL, linewidth=2)
            axes.text(1.02, at, f"{100 * one.rate.value:.0f} % of {one.n}", va="center", fontsize=8)
    axes.set_yticks(rows, [f"{swap.words}\nshould {swap.should}" for swap in swaps], fontsize=8)
    axes.set(xlim=(0, 1.0), xlabel="share of answers that did as they should (line: 95 % interval)", title=title)
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.16), ncols=2, fontsize=8, frameon=False)
    figure.savefig(path, format="png")
