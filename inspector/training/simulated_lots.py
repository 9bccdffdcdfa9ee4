"""Lots made up for an evaluation: where no history is known, what reports could be worth is measured on lots with a known mix of labels.

Of each picture's lot a label mix is drawn (Dirichlet, given that the lot holds this part), from the mix the labels of a few earlier
parts, and about each of these a report is written, in phrasings that training never uses. Because the true labels behind the reports are
known, Bayes' rule tells what reports can do at most.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inspector.core.label import LabelSet
from inspector.core.report import Report
from inspector.training.phrasing import phrasings
from inspector.training.picture import Picture
from inspector.training.visits import LOT_CONCENTRATION

Answer = tuple[tuple[Report, ...], NDArray[np.float32]]
"""Reports, oldest first, and their (n, d) unit vectors."""


@dataclass(frozen=True, slots=True)
class Lots:
    """One lot for each of n pictures."""

    answers: tuple[Answer, ...]
    """The reports about each picture's lot."""
    priors: NDArray[np.float64]
    """(n, K) what these reports, truly understood, say about a part of the lot: the mean of the Dirichlet posterior of its mix."""


def simulate_lots(
    pictures: Sequence[Picture], labels: LabelSet, count: int, encode: Callable[[list[str]], NDArray[np.float32]], seed: int = 0
) -> Lots:
    """Return lots with ``count`` reports each. ``encode`` maps m texts to (m, d) unit vectors."""
    rng, kinds = np.random.default_rng(seed), len(labels.names)
    written = datetime.now(UTC) - timedelta(days=1)
    told = np.empty((len(pictures), count), np.int64)
    for place, picture in enumerate(pictures):
        weights = np.full(kinds, LOT_CONCENTRATION)
        weights[labels.names.index(picture.label)] += 1.0
        told[place] = rng.choice(kinds, size=count, p=rng.dirichlet(weights))
    parts = [Picture(Path(), labels.names[label], "val", "") for label in told.ravel()]
    rows = phrasings("labels", parts, parts, seed, labels.good)
    texts = [row[int(rng.integers(len(row)))] for row in rows]
    vectors = _encoded(texts, encode)
    answers = []
    for place in range(len(pictures)):
        numbers = range(place * count, (place + 1) * count)
        reports = tuple(Report(f"lot-{place}-{number}", written, "simulated", texts[number]) for number in numbers)
        answers.append((reports, vectors[list(numbers)]))
    counts = np.stack([np.bincount(row, minlength=kinds) for row in told]) + LOT_CONCENTRATION
    return Lots(tuple(answers), counts / counts.sum(1, keepdims=True))


def _encoded(texts: Sequence[str], encode: Callable[[list[str]], NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return one vector for each text; equal texts are encoded once."""
    different = sorted(set(texts))
    vectors = encode(different)
    return vectors[[different.index(text) for text in texts]]
