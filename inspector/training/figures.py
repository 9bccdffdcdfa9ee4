"""Pictures of an evaluation: confusion matrix, reliability curve, risk-coverage curve and the worst pictures, as PNG files.

Colours are readable for the colour blind and never the only sign: counts and names stand in the pictures.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from inspector.training.judged import Judged
from inspector.training.measures import Measures
from inspector.training.picture import read_rgb

_INK = "#1b4f72"
_WORST = 24


def draw_all(folder: Path, judged: Judged, measures: Measures, title: str) -> dict[str, Path]:
    """Write every picture into ``folder`` and return their paths by name."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {
        "confusion": _confusion(measures.confusion, judged.names, title),
        "reliability": _reliability(judged, title),
        "risk-coverage": _risk_coverage(judged, title),
        "worst": _worst(judged, title),
    }
    paths = {}
    for name, figure in drawn.items():
        paths[name] = folder / f"{name}.png"
        figure.savefig(paths[name], format="png")
    return paths


def _confusion(counts: NDArray[np.int64], names: tuple[str, ...], title: str) -> Figure:
    """Draw counts on the share of each true label."""
    size = max(4.5, 0.9 * len(names) + 2.5)
    figure = Figure((size + 0.8, size), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    for row, column in np.ndindex(*counts.shape):
        if counts[row, column]:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="answered", ylabel="true", title=f"{title}\nconfusion matrix, counts")
    return figure


def _reliability(judged: Judged, title: str) -> Figure:
    """Draw the share of right answers over the stated probability, with the number of pictures in each bin."""
    sure, right = _sure_and_right(judged)
    figure = Figure((6.0, 5.5), dpi=110, layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    bins = np.minimum((sure * 10).astype(int), 9)
    filled = [b for b in range(10) if (bins == b).any()]
    axes.plot([0, 1], [0, 1], "--", color="grey", label="as sure as right")
    axes.plot([sure[bins == b].mean() for b in filled], [right[bins == b].mean() for b in filled], "o-", color=_INK, label="measured")
    axes.set(ylabel="share that is right", ylim=(0, 1.02), title=f"{title}\nreliability, {len(sure)} pictures")
    axes.legend(loc="upper left")
    below.hist(sure, bins=np.linspace(0, 1, 11).tolist(), color=_INK)
    below.set(xlabel="probability of the answer", ylabel="pictures", xlim=(0, 1))
    return figure


def _risk_coverage(judged: Judged, title: str) -> Figure:
    """Draw the error among the surest pictures over their share: what sending the doubtful ones to review buys."""
    sure, right = _sure_and_right(judged)
    order = np.argsort(-sure, kind="stable")
    count = np.arange(1, len(order) + 1)
    figure = Figure((6.0, 4.5), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.step(count / max(len(order), 1), (~right[order]).cumsum() / count, where="post", color=_INK)
    axes.set(xlabel="share judged, surest first", ylabel="share of them wrong", xlim=(0, 1), title=f"{title}\nrisk and coverage")
    axes.set_ylim(bottom=0.0)
    axes.grid(alpha=0.3)
    return figure


def _worst(judged: Judged, title: str) -> Figure:
    """Draw the pictures whose true label was found least probable."""
    truth = judged.posterior[np.arange(len(judged.truths)), judged.truths]
    order = np.argsort(np.nan_to_num(truth, nan=-1.0), kind="stable")[:_WORST]
    rows = max(-(-len(order) // 6), 1)
    figure = Figure((14.0, 2.9 * rows + 0.6), dpi=100, layout="constrained")
    figure.suptitle(f"{title}: the {len(order)} worst of {len(judged.truths)} pictures, X = wrong")
    for place, index in enumerate(order):
        _one(figure.add_subplot(rows, 6, place + 1), judged, int(index))
    return figure


def _one(axes: Axes, judged: Judged, index: int) -> None:
    """Draw one picture with what it is and what was said."""
    axes.imshow(read_rgb(judged.pictures[index].path))
    axes.set_xticks([])
    axes.set_yticks([])
    row, true = judged.posterior[index], judged.names[judged.truths[index]]
    if np.isnan(row).any():
        said, mark = f"not judged: {judged.inspections[index].verdict.reason[:30]}", "?"
    else:
        said, mark = f"{judged.names[int(row.argmax())]} {row.max():.2f}", "" if row.argmax() == judged.truths[index] else "X "
    axes.set_title(f"{mark}{said}\ntrue: {true}\n{judged.pictures[index].path.name[:26]}", fontsize=7)


def _sure_and_right(judged: Judged) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the probability of each answer and whether it is right, of the pictures that were judged."""
    has = ~np.isnan(judged.posterior).any(1)
    rows = judged.posterior[has]
    return rows.max(1, initial=0.0), np.asarray(rows.argmax(1) == judged.truths[has], np.bool_)
