"""Tracing for the command line: which picture, by which model, and what came of it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from inspector.errors import InspectorError, LogError
from inspector.settings import StationSettings

if TYPE_CHECKING:
    from inspector.core.attention import Attention
    from inspector.core.frame import Frame
    from inspector.core.inspection import Inspection
    from inspector.edge.log import Log
    from inspector.pipeline import Pipeline
    from inspector.training.trace import Tracing
    from inspector.training.trace_page import TracedRegion
    from inspector.vlm.full_checkpoint import AnyCheckpoint


@dataclass(frozen=True, slots=True)
class OpenTracing:
    """A station's model, opened to judge and to tell what it looked at."""

    pipeline: "Pipeline"
    """Judges as the station would."""
    checkpoint: "AnyCheckpoint"
    """The model's files."""
    tracer: "Tracing"
    """Tells what a verdict looked at."""

    def trace(self, frame: "Frame") -> "tuple[Inspection, list[TracedRegion]]":
        """Judge a frame and trace each region. Raises ``InspectorError`` if nothing was judged."""
        from inspector.training.trace import Watched  # noqa: PLC0415 - quick --help
        from inspector.training.trace_page import TracedRegion  # noqa: PLC0415 - as above

        watched = Watched(self.pipeline.predictor)
        judged = replace(self.pipeline, predictor=watched).inspect([frame])[0]
        if judged.verdict.fault:
            raise InspectorError(f"{frame.frame_id}: nothing was judged, so nothing was looked at: {judged.verdict.reason}")
        return judged, [
            TracedRegion(image, context, own, self.tracer.trace(image, context, said))  # own: after the station's temperature
            for (image, context, said), own in zip(watched.seen, judged.predictions, strict=True)
        ]


@contextmanager
def open_tracing(root: Path, settings: StationSettings) -> Iterator[OpenTracing]:
    """Open the station's model once, for as many traces as are wanted. Raises ``InspectorError`` if it cannot be used."""
    from inspector.daemon import open_judge  # noqa: PLC0415 - quick --help
    from inspector.vlm.checkpoint import Checkpoint  # noqa: PLC0415 - as above
    from inspector.vlm.opening import open_any  # noqa: PLC0415 - as above

    checkpoint = open_any(root / "models" / settings.model.checkpoint, settings.model)
    with open_judge(settings, root) as pipeline:
        if isinstance(checkpoint, Checkpoint):
            from inspector.training.trace import Tracer  # noqa: PLC0415 - as above

            yield OpenTracing(pipeline, checkpoint, Tracer(checkpoint))
        else:
            from inspector.training.full_trace import FullTracer  # noqa: PLC0415 - as above
            from inspector.vlm.torch_predictor import TorchPredictor  # noqa: PLC0415 - as above

            yield OpenTracing(pipeline, checkpoint, FullTracer(cast("TorchPredictor", pipeline.predictor)))


def frame_of(root: Path, settings: StationSettings, what: str) -> "tuple[Frame, Inspection | None]":
    """Return the frame to judge and the logged inspection that it stands for, if any. Raises ``InspectorError`` if there is none."""
    from inspector.core.frame import Frame  # noqa: PLC0415 - quick --help
    from inspector.edge.camera import read_image  # noqa: PLC0415 - as above
    from inspector.edge.log import Log  # noqa: PLC0415 - as above

    if Path(what).is_file():
        image = read_image(Path(what), max_pixels=settings.quality.max_pixels)
        return Frame(settings.name, "file", Path(what).name, datetime.now(UTC), time.monotonic_ns(), image, source=what), None
    path = log_of(root, settings, f"{what}: no such file, and {{path}} is not there to look for an inspection of that id")
    with Log(path, settings.name, read_only=True) as log:
        return logged_frame(settings, log, what)


def logged_frame(settings: StationSettings, log: "Log", inspection_id: str) -> "tuple[Frame, Inspection]":
    """Return the kept picture of a logged inspection as a frame, and the inspection. Raises ``LogError`` if there is none."""
    from inspector.core.frame import Frame  # noqa: PLC0415 - quick --help
    from inspector.edge.camera import read_image  # noqa: PLC0415 - as above

    logged = log.get(inspection_id)
    if logged is None:
        raise LogError(f"{inspection_id}: neither a picture file nor an inspection in {log.path}; inspector log {settings.name} lists them")
    if logged.image_path is None or not (log.path.parent / logged.image_path).is_file():
        raise LogError(
            f"{inspection_id}: its picture was not kept, or is gone by now; log.keep_images and log.keep_image_days say which are kept"
        )
    image = read_image(log.path.parent / logged.image_path, max_pixels=settings.quality.max_pixels)
    return Frame(
        settings.name, logged.camera, logged.frame_id, logged.captured_at, time.monotonic_ns(), image,
        product=logged.product, lot=logged.lot, part_id=logged.part_id, recorded_at=logged.captured_at, source=logged.source,
    ), logged  # fmt: skip


def log_of(root: Path, settings: StationSettings, missing: str) -> Path:
    """Return the station's log. Raises ``LogError`` with ``missing``, which may name {path}, if there is none yet."""
    from inspector.edge.log import database_path  # noqa: PLC0415 - quick --help

    path = database_path(settings, root)
    if not path.is_file():
        raise LogError(missing.format(path=path))
    return path


def rows_of(logged: "Inspection", judged: "Inspection", regions: "list[TracedRegion]") -> "list[Attention]":
    """Return what was looked at as rows of the log, under the id of the inspection that is logged."""
    from inspector.core.attention import Attention  # noqa: PLC0415 - quick --help

    return [
        Attention(
            inspection_id=logged.inspection_id,
            region=region.prediction.region,
            model=judged.model,
            captured_at=logged.captured_at,
            product=judged.product,
            label=region.prediction.label,
            shares=region.trace.shares,
            reports={row.report_id: row.share for row in region.reports()},
            pulls=region.trace.pulls_by_kind,
            report_pulls={row.report_id: row.pull for row in region.reports()},
            layers={str(number): row for number, row in zip(region.trace.layers, region.trace.by_layer(), strict=True)},
        )
        for region in regions
    ]
