"""Distillation: what a large model believes of unlabelled frames becomes what a small one learns (Hinton et al. 2015, arXiv 1503.02531).

The frames are those of a folder, or those that the station's own log has kept. A teacher's belief is its whole posterior, not its label.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from inspector.core.decision_calibration import DecisionCalibration
from inspector.core.inspection import Inspection
from inspector.core.label import LabelSet
from inspector.errors import DataError
from inspector.pipeline import Pipeline
from inspector.training.doubles import near_doubles
from inspector.training.examination import Examined, examine
from inspector.training.judged import Judged, judge
from inspector.training.listing import Listed, list_loose_pictures
from inspector.training.picture import Picture
from inspector.training.remarks import Remarks
from inspector.vlm.checkpoint import sha256

_UNKNOWN = "unlabelled"


def frames_of_folder(folder: Path) -> list[Picture]:
    """Return every picture below a folder."""
    listed = list_loose_pictures(folder, _UNKNOWN, Remarks())
    return [Picture(one.path, _UNKNOWN, "train", one.file) for one in listed]


def frames_of_log(inspections: Iterable[Inspection], folder: Path, product: str) -> list[Picture]:
    """Return the kept pictures of a product; ``folder`` is the log's."""
    return [
        Picture(path, _UNKNOWN, "train", one.inspection_id, taken_at=one.captured_at, lot=one.lot)
        for one in inspections
        if one.product == product and one.image_path is not None and (path := folder / one.image_path).is_file()
    ]


def without_known(frames: Sequence[Picture], labelled: Sequence[Picture], console: Console) -> tuple[list[Picture], int]:
    """Return the frames that can be read and show none of the labelled pictures, nor one another, and how many were left out.

    What is to be checked with must not be learnt from, whatever a teacher says of it.
    """
    listed = [Listed(str(picture.path), picture.path, picture.label) for picture in (*labelled, *frames)]
    found = {file: held for file, held in examine(listed, console, None).items() if isinstance(held, Examined)}
    known = {str(picture.path) for picture in labelled}
    near = set[str]()
    for one, other in near_doubles(list(found), found):
        near |= {other} if one in known else {one} if other in known else set()
    kept, seen = [], {found[file].pixels for file in known if file in found}
    for frame in frames:
        held = found.get(str(frame.path))
        if held is not None and str(frame.path) not in near and held.pixels not in seen:
            seen.add(held.pixels)
            kept.append(frame)
    return kept, len(frames) - len(kept)


def taught(
    pipeline: Pipeline,
    product: str,
    frames: Sequence[Picture],
    station: str,
    memory: Path,
    *,
    labelled: Sequence[Picture] = (),
    tell: Callable[[], None] = lambda: None,
) -> tuple[list[Picture], NDArray[np.float32]]:
    """Return the frames that the teacher could judge, with the label it gave them, and its (n, K) beliefs.

    Each belief is written to ``memory`` as it comes, so that a run that was stopped does not judge again. Raises ``DataError`` if the
    teacher sees one label alone and no ``labelled`` pictures show another: nothing could be told apart.
    """
    labels, known = pipeline.products[product].labels, _recall(memory, pipeline.predictor.name)
    kept, rows = [], []
    with memory.open("a", encoding="utf-8") as stream:
        for frame in frames:
            key = sha256(frame.path)
            if key not in known:
                known[key] = _belief(pipeline, product, frame, station)
                stream.write(json.dumps({"teacher": pipeline.predictor.name, "picture": key, "belief": known[key]}) + "\n")
                stream.flush()
            tell()
            if belief := known[key]:
                rows.append([belief[name] for name in labels.names])
                kept.append(replace(frame, label=max(belief, key=lambda name: belief[name]), taken_at=None))
    if len({picture.label for picture in (*kept, *labelled)}) < 2:
        seen = f"gave all of {len(kept)} frames the label {kept[0].label}" if kept else f"could judge none of {len(frames)} frames"
        raise DataError(f"{pipeline.predictor.name}", [f"{seen}; frames of good and of defective parts are needed"])
    return kept, np.array(rows, np.float32)


def with_truths(pictures: Sequence[Picture], labels: LabelSet) -> NDArray[np.float32]:
    """Return (n, K) beliefs of labelled pictures: the true label, surely."""
    rows = [[float(name == picture.label) for name in labels.names] for picture in pictures]
    return np.array(rows, np.float32).reshape(len(rows), len(labels.names))


def untempered(pipeline: Pipeline, product: str) -> Pipeline:
    """Return a pipeline whose posteriors are the model's own: thresholds and temperature in force were fitted for another one."""
    plain = replace(pipeline.products[product], decision=DecisionCalibration())
    return replace(pipeline, products={**pipeline.products, product: plain})


def median_ms(judged: Judged) -> float:
    """Return the median time of a verdict, milliseconds."""
    return float(np.median([inspection.timings_ms["total"] for inspection in judged.inspections]))


def key_of(frames: Sequence[Picture], teacher: str) -> str:
    """Return a hash over frames and teacher: what was learnt half-way belongs to both."""
    parts = [teacher, *(f"{frame.path.name}:{frame.path.stat().st_size}" for frame in frames)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _belief(pipeline: Pipeline, product: str, frame: Picture, station: str) -> dict[str, float]:
    """Return what the teacher believes of a frame; empty if it could not judge it."""
    labels = pipeline.products[product].labels
    row = judge(pipeline, product, [replace(frame, label=labels.names[0])], station).posterior[0]
    return {} if np.isnan(row).any() else dict(zip(labels.names, map(float, row), strict=True))


def _recall(memory: Path, teacher: str) -> dict[str, Mapping[str, float]]:
    """Return the beliefs of a teacher that are remembered, by the picture's hash."""
    found = dict[str, Mapping[str, float]]()
    with suppress(FileNotFoundError):
        for line in memory.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, KeyError, TypeError):  # a kill may have torn the last line
                entry = json.loads(line)
                if entry["teacher"] == teacher:
                    found[entry["picture"]] = entry["belief"]
    return found
