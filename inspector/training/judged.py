"""Judged pictures: what a station's own pipeline says of labelled pictures, beside what is true. Evaluation and calibration share it.

The pipeline is the daemon's, so its preprocessing, regions, reports and temperature are in the numbers. n pictures, K labels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic_ns

import numpy as np
from numpy.typing import NDArray

from inspector.core.frame import Frame
from inspector.core.inspection import Inspection
from inspector.errors import InspectorError
from inspector.pipeline import Pipeline
from inspector.training.picture import Picture, read_rgb


@dataclass(frozen=True, slots=True)
class Judged:
    """Labelled pictures of one product and their verdicts, in the same order."""

    names: tuple[str, ...]
    """Labels, the columns of ``posterior``."""
    good: str | None
    """The label that means no defect."""
    pictures: tuple[Picture, ...]
    """The pictures; ``picture.group`` is the part, board or plate that must not be torn apart."""
    truths: NDArray[np.int64]
    """(n,) columns of the true labels."""
    posterior: NDArray[np.float64]
    """(n, K) probabilities after the pipeline's temperature; of several regions the one that decided. NaN where nothing was judged."""
    inspections: tuple[Inspection, ...]
    """The whole records."""

    @property
    def groups(self) -> tuple[str, ...]:
        """Group of each picture."""
        return tuple(picture.group for picture in self.pictures)


def judge(pipeline: Pipeline, product: str, pictures: Sequence[Picture], station: str, tell: Callable[[], None] = lambda: None) -> Judged:
    """Judge pictures one by one, as a camera delivers them; ``tell`` hears of each. Raises ``InspectorError`` on an unknown label."""
    labels = pipeline.products[product].labels
    column = {name: index for index, name in enumerate(labels.names)}
    strange = sorted({picture.label for picture in pictures} - column.keys())
    if strange:
        raise InspectorError(f"label {strange[0]!r} is not one of {product}'s labels {', '.join(labels.names)}; add it to station.toml")
    inspections = []
    for picture in pictures:
        inspections.append(pipeline.inspect([as_frame(picture, product, station)])[0])
        tell()
    rows = [_row(inspection, labels.names) for inspection in inspections]
    return Judged(
        labels.names,
        labels.good,
        tuple(pictures),
        np.array([column[picture.label] for picture in pictures], np.int64),
        np.array(rows, np.float64).reshape(len(rows), len(labels.names)),
        tuple(inspections),
    )


def as_frame(picture: Picture, product: str, station: str) -> Frame:
    """Return the picture as a replay camera would deliver it: history is what was written before it was taken."""
    return Frame(
        station=station,
        camera="evaluation",
        frame_id=Path(picture.path).name,
        captured_at=datetime.now(UTC),
        grabbed_ns=monotonic_ns(),
        image=read_rgb(picture.path),
        product=product,
        lot=picture.lot,
        recorded_at=picture.taken_at,
    )


def _row(inspection: Inspection, names: Sequence[str]) -> list[float]:
    """Return the scores of the region that decided: the one least sure of being good decides a part."""
    if not inspection.predictions:
        return [float("nan")] * len(names)
    deciding = next((p for p in inspection.predictions if p.label == inspection.label), inspection.predictions[0])
    return [deciding.scores[name] for name in names]
