"""Growth: how a verdict's time grows with reports, regions and labels. Sizes of one kind are measured in turns, in one run.

What is told is processor time of all threads: other work on the machine hardly lengthens it, where a clock would show that work.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inspector.core.context import Context
from inspector.core.frame import Image
from inspector.core.label import LabelSet
from inspector.core.report import Report
from inspector.edge.reports import ReportStore
from inspector.pipeline import Predictor
from inspector.settings import ReportsSection

REGIONS = (1, 2, 4, 8)
LABELS = (4, 8, 16, 32, 64)
_ROUNDS = 40
"""Times each size is measured."""
_LOTS = 4
_PRODUCT, _STATION = "part", "bench"
_KINDS = ["deep", "light", "long", "round", "open", "dark", "fine", "wide"]
_FAULTS = ["scratch", "pit", "crack", "dent", "stain", "burr", "hole", "fold"]


@dataclass(frozen=True, slots=True)
class Growth:
    """How one time grows with one size."""

    what: str
    """What is timed."""
    of: str
    """What grows."""
    sizes: tuple[int, ...]
    """The sizes."""
    p50_ms: tuple[float, ...]
    """Median at each size, milliseconds of processor time unless ``what`` says otherwise."""

    @property
    def factor(self) -> float:
        """The last median over the first one."""
        return self.p50_ms[-1] / self.p50_ms[0]

    def to_dict(self) -> dict[str, object]:
        """Return the numbers for JSON."""
        return {**asdict(self), "factor": round(self.factor, 3)}


def in_reports(folder: Path, width: int, options: ReportsSection, sizes: Sequence[int], rounds: int = _ROUNDS) -> list[Growth]:
    """Return the growth of what a frame pays for its reports, and of choosing them anew, in stores of so many reports below ``folder``."""
    stores = [_store(folder / f"reports-{size}.db", size, width, options) for size in sizes]
    hours = iter(range(1, 1 << 30))
    start = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)

    def anew(store: ReportStore) -> Callable[[], object]:
        return lambda: store.relevant(_PRODUCT, _STATION, f"lot-{next(hours) % _LOTS}", start + timedelta(hours=next(hours)))

    try:
        kept = _in_turns([lambda store=store: store.relevant(_PRODUCT, _STATION, "lot-0", start) for store in stores], rounds)  # type: ignore[misc]
        chosen = _in_turns([anew(store) for store in stores], rounds)
    finally:
        for store in stores:
            store.close()
    return [
        Growth("reports of a frame, choice kept", "reports", tuple(sizes), kept),
        Growth("reports chosen anew (new lot, hour or report)", "reports", tuple(sizes), chosen),
    ]


def in_regions(predictor: Predictor, image: Image, context: Context, sizes: Sequence[int] = REGIONS, rounds: int = _ROUNDS) -> Growth:
    """Return the growth of the model's time with regions that are judged together."""
    names = [[(str(number), image) for number in range(size)] for size in sizes]
    times = _in_turns([lambda batch=batch: predictor.predict(batch, context) for batch in names], rounds)  # type: ignore[misc]
    return Growth("model, all regions together", "regions", tuple(sizes), times)


def in_labels(predictor: Predictor, image: Image, context: Context, sizes: Sequence[int] = LABELS, rounds: int = _ROUNDS) -> Growth:
    """Return the growth of the model's time with labels of two words."""
    contexts = [replace(context, labels=label_set(size)) for size in sizes]
    times = _in_turns([lambda one=one: predictor.predict([("frame", image)], one) for one in contexts], rounds)  # type: ignore[misc]
    return Growth("model, labels of two words", "labels", tuple(sizes), times)


def label_set(size: int) -> LabelSet:
    """Return ``size`` of 64 labels, evenly taken, so that few share their first word where there are few."""
    names = [f"{kind}_{fault}" for fault, kind in product(_FAULTS, _KINDS)]
    return LabelSet(tuple(names[place] for place in np.linspace(0, len(names) - 1, size).round().astype(int)))


def _in_turns(calls: Sequence[Callable[[], object]], rounds: int) -> tuple[float, ...]:
    """Return the median of each call, milliseconds of processor time; a first round warms up."""
    times: list[list[float]] = [[] for _ in calls]
    for turn in range(rounds + 1):
        for call, taken in zip(calls, times, strict=True):
            began = time.process_time()
            call()
            if turn:
                taken.append(1e3 * (time.process_time() - began))
    return tuple(round(float(np.median(taken)), 3) for taken in times)


def _store(path: Path, size: int, width: int, options: ReportsSection) -> ReportStore:
    """Return a store of so many reports of one product over some lots, with vectors of random directions."""
    store = ReportStore(path, lambda texts: _vectors(len(texts), width), "random@0", options, {_PRODUCT: "a part"})
    store.add(_reports(size))
    store.embed_missing()
    return store


def _reports(size: int) -> Iterator[Report]:
    """Yield reports, one every ten minutes up to yesterday."""
    last = datetime.now(UTC) - timedelta(days=1)
    for number in range(size):
        written = last - timedelta(minutes=10 * number)
        yield Report(f"Q-{number}", written, _PRODUCT, f"report {number}", None, f"lot-{number % _LOTS}")


def _vectors(count: int, width: int) -> NDArray[np.float32]:
    vectors = np.random.default_rng(count).standard_normal((count, width), np.float32)
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
