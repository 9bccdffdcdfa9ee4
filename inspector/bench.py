"""The bench: how long a station takes from capture to the committed row on this machine, and where the time goes.

It runs the station's own pipeline and a real log (a new database, synchronous FULL, no broker) over pictures of the station's first folder
camera. Two loads: throttled, frames at a fixed rate as on a line, and flat out, the next frame as soon as one is done.
"""

import os
import platform
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np

from inspector.core.frame import Frame
from inspector.core.inspection import Inspection
from inspector.edge.camera import open_camera
from inspector.edge.log import Log
from inspector.edge.messages import result_message
from inspector.edge.topics import Topics
from inspector.errors import CameraError
from inspector.pipeline import Pipeline
from inspector.settings import StationSettings

STAGES = ("preprocess", "reports", "prefill", "vision", "decode", "commit")
"""What the time is split into; what is left of the whole is decision and book-keeping."""


@dataclass(frozen=True, slots=True)
class Load:
    """The numbers of one load."""

    name: str
    """throttled or flat out."""
    frames: int
    """Frames judged."""
    rate_hz: float
    """Frames a second that were reached."""
    to_row_ms: dict[str, float]
    """p50, p95, p99 and max from capture to the committed row, milliseconds."""
    stages_ms: dict[str, float]
    """Median of each stage, milliseconds."""
    cpu_ms: float
    """CPU time of all threads for each frame, milliseconds."""

    def to_dict(self) -> dict[str, object]:
        """Return the numbers for JSON."""
        return {
            "load": self.name,
            "frames": self.frames,
            "rate_hz": round(self.rate_hz, 2),
            "capture_to_row": self.to_row_ms,
            "stages_ms": self.stages_ms,
            "cpu_ms_per_frame": round(self.cpu_ms, 1),
        }


def read_frames(settings: StationSettings) -> list[Frame]:
    """Return the frames of the station's first folder camera that have a picture. Raises ``CameraError`` if there are none."""
    name, section = next(((n, s) for n, s in settings.cameras.items() if s.kind == "folder"), (None, None))
    if name is None or section is None:
        raise CameraError(f"station {settings.name} has no folder camera; the bench needs pictures: give a station that replays a folder")
    quick = section.model_copy(update={"rate_hz": 0.0, "loop": False, "watch": False})
    camera, frames = (
        open_camera(name, quick, station=settings.name, base=settings.folder, max_pixels=settings.quality.max_pixels),
        list[Frame](),
    )
    while not camera.finished:
        frame = camera.read(1.0)
        if frame is not None and not frame.fault:
            frames.append(frame)
    camera.close()
    if not frames:
        raise CameraError(f"cameras.{name}: no picture could be read; put some into {settings.folder / (section.path or '')}")
    return frames


def resized(frame: Frame, size_px: tuple[int, int] | None) -> Frame:
    """Return the frame with its picture brought to (width, height), as if the camera had delivered that."""
    if size_px is None:
        return frame
    return replace(frame, image=np.asarray(cv2.resize(frame.image, size_px, interpolation=cv2.INTER_LINEAR), np.uint8))


def measure(  # noqa: PLR0913 - one condition of the measurement an argument
    name: str,
    pipeline: Pipeline,
    settings: StationSettings,
    frames: Sequence[Frame],
    database: Path,
    *,
    count: int,
    rate_hz: float,
    size_px: tuple[int, int] | None,
    tell: Callable[[], None],
) -> Load:
    """Judge and log ``count`` frames at ``rate_hz`` (0: flat out), one at a time; ``tell`` hears of each."""
    topics, spans, stages = Topics.of(settings), [], []
    with Log(database, settings.name) as log:
        for frame in frames[: min(8, len(frames))]:  # warm up: caches, threads, first pages of the database
            _judge_and_log(pipeline, settings, log, topics, resized(frame, size_px))
        began_s, cpu_s = time.monotonic(), time.process_time()
        for index in range(count):
            frame = resized(frames[index % len(frames)], size_px)
            if rate_hz:
                time.sleep(max(0.0, began_s + index / rate_hz - time.monotonic()))
            judged, commit_ms, span_ms = _judge_and_log(pipeline, settings, log, topics, frame)
            spans.append(span_ms)
            stages.append([commit_ms if stage == "commit" else judged.timings_ms.get(stage, 0.0) for stage in STAGES])
            tell()
        took_s, cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
    medians = np.median(np.array(stages), axis=0)
    p50, p95, p99 = np.percentile(spans, [50, 95, 99])
    to_row = {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "max_ms": max(spans)}
    return Load(
        name,
        count,
        count / took_s,
        {key: round(float(value), 2) for key, value in to_row.items()},
        {stage: round(float(value), 2) for stage, value in zip(STAGES, medians, strict=True)},
        1e3 * cpu_s / count,
    )


def _judge_and_log(
    pipeline: Pipeline, settings: StationSettings, log: Log, topics: Topics, frame: Frame
) -> tuple[Inspection, float, float]:
    """Take a frame through the station; return its record, the commit's time and the whole time, milliseconds."""
    now = replace(frame, captured_at=datetime.now(UTC), grabbed_ns=time.monotonic_ns())
    judged = pipeline.inspect([now])[0]
    before_ns = time.monotonic_ns()
    logged = log.append(judged, lambda numbered: result_message(numbered, topics, settings.products[numbered.product].label_set()))
    after_ns = time.monotonic_ns()
    return logged, (after_ns - before_ns) / 1e6, (after_ns - now.grabbed_ns) / 1e6


def machine() -> dict[str, object]:
    """Return what the numbers were taken on and the peak memory of this process in MiB."""
    model = next((line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.processor())
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
