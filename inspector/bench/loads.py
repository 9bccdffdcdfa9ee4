"""A load: frames through a station's own camera code, pipeline, log and publisher, one at a time, with the time of every stage.

Throttled, frames come at a fixed rate as on a line; flat out, the next one is read as soon as one is done. The log is a new one,
synchronous FULL. With a broker every verdict is followed to its PUBACK.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from inspector.bench.machine import spread, written_bytes
from inspector.bench.pictures import open_replay
from inspector.bench.probes import Probes
from inspector.core.frame import Frame
from inspector.core.inspection import Inspection
from inspector.edge.camera import Camera
from inspector.edge.camera.manifest import Entry
from inspector.edge.instants import from_text
from inspector.edge.log import Log
from inspector.edge.messages import result_message
from inspector.edge.outbox import Message
from inspector.edge.publisher import Publisher
from inspector.edge.publishing import open_publisher
from inspector.edge.schema import open_database
from inspector.edge.topics import Topics
from inspector.errors import CameraError
from inspector.pipeline import Pipeline
from inspector.settings import StationSettings

STAGES = ("grab", "preprocess", "reports", "prefill", "pixels", "vision", "decode", "normality", "decide", "commit", "puback")
"""What the time is split into: ``grab`` reads and decodes the file, ``pixels`` brings the picture to the model's square, ``puback`` is
from the committed row to the broker's acknowledgement. What is left of the whole is book-keeping."""
_WARM_UP = 8
"""Frames before the measurement: caches, threads, first pages of the database."""
_PROBE_EVERY = 20
"""Frames between two turns of the probes."""


@dataclass(frozen=True, slots=True)
class Load:
    """The numbers of one load."""

    name: str
    """throttled or flat out."""
    frames: int
    """Frames judged and logged."""
    published: int
    """Of them acknowledged by the broker; 0 without one."""
    reports: float
    """Past reports beside a verdict, on average."""
    rate_hz: float
    """Frames a second that were reached."""
    to_row: Mapping[str, float]
    """p50, p95, p99 and max from capture to the committed row, milliseconds."""
    to_puback: Mapping[str, float]
    """The same from capture to PUBACK; empty without a broker."""
    stages: Mapping[str, Mapping[str, float]]
    """The same of each stage that took place."""
    cpu_ms: float
    """CPU time of all threads of this process for each frame, milliseconds."""
    written_bytes: int
    """Bytes written to files for each frame."""
    message_bytes: int
    """Length of a result message, on average."""

    def to_dict(self) -> dict[str, object]:
        """Return the numbers for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Bench:
    """What all loads share."""

    pipeline: Pipeline
    """The station's pipeline."""
    settings: StationSettings
    """Its settings; with ``mqtt.enabled`` a broker must answer."""
    entries: Sequence[Entry]
    """Pictures to replay."""
    folder: Path
    """Where databases go."""
    probes: Probes
    """Units of this machine, taken between the frames."""


@dataclass(slots=True)
class _Taken:
    """What has been measured so far."""

    spans_ms: list[float] = field(default_factory=list)
    stages_ms: list[dict[str, float]] = field(default_factory=list)
    reports: int = 0
    probing_s: float = 0.0
    probing_cpu_s: float = 0.0
    probing_bytes: int = 0

    def probe(self, probes: Probes) -> None:
        """Take a turn of the probes and note what is not the frames' own."""
        before = time.monotonic(), time.process_time(), written_bytes()
        probes.turn()
        self.probing_s += time.monotonic() - before[0]
        self.probing_cpu_s += time.process_time() - before[1]
        self.probing_bytes += written_bytes() - before[2]


def measure(bench: Bench, name: str, *, count: int, rate_hz: float, tell: Callable[[], None]) -> Load:
    """Judge and log ``count`` frames at ``rate_hz`` (0: flat out); ``tell`` hears of each. Raises ``InspectorError``."""
    path, taken = bench.folder / f"{name}.db", _Taken()
    with Log(path, bench.settings.name) as log, _replay(bench, 0.0) as warming, open_publisher(bench.settings, path, _quiet) as publisher:
        for _ in range(_WARM_UP):
            _through(bench, log, publisher, warming, _Taken())
        with _replay(bench, rate_hz) as camera:
            before = time.monotonic(), time.process_time(), written_bytes()
            for index in range(count):
                if index % _PROBE_EVERY == 0:
                    taken.probe(bench.probes)
                _through(bench, log, publisher, camera, taken)
                tell()
            took_s, cpu_s = time.monotonic() - before[0] - taken.probing_s, time.process_time() - before[1] - taken.probing_cpu_s
        if publisher is not None:
            publisher.drain(30.0)
        written = written_bytes() - before[2] - taken.probing_bytes
    to_puback, sizes = _published(path), _message_bytes(bench, path)
    for index, span_ms in to_puback.items():
        taken.stages_ms[index]["puback"] = span_ms - taken.spans_ms[index]
    stages = {stage: spread([one[stage] for one in taken.stages_ms if stage in one]) for stage in STAGES}
    return Load(
        name=name,
        frames=count,
        published=len(to_puback),
        reports=taken.reports / count,
        rate_hz=round(count / took_s, 2),
        to_row=spread(taken.spans_ms),
        to_puback=spread(list(to_puback.values())),
        stages={stage: numbers for stage, numbers in stages.items() if numbers},
        cpu_ms=round(1e3 * cpu_s / count, 2),
        written_bytes=round(written / count),
        message_bytes=sizes,
    )


def _through(bench: Bench, log: Log, publisher: Publisher | None, camera: Camera, taken: _Taken) -> None:
    """Take the next frame through the station and note its times."""
    frame = _next(camera)
    grabbed_ns = time.monotonic_ns()
    judged = bench.pipeline.inspect([frame])[0]
    before_ns = time.monotonic_ns()
    log.append(judged, partial(_message, bench.settings))
    after_ns = time.monotonic_ns()
    if publisher is not None:
        publisher.wake()
    stages = {stage: judged.timings_ms[stage] for stage in STAGES if stage in judged.timings_ms}
    taken.stages_ms.append({"grab": (grabbed_ns - frame.grabbed_ns) / 1e6, **stages, "commit": (after_ns - before_ns) / 1e6})
    taken.spans_ms.append((after_ns - frame.grabbed_ns) / 1e6)
    taken.reports += max((len(one.report_ids) for one in judged.predictions), default=0)


def _next(camera: Camera) -> Frame:
    frame = None
    while frame is None:
        frame = camera.read(60.0)
    if frame.fault:
        raise CameraError(f"the bench's own picture cannot be judged: {frame.fault}")
    return frame


@contextmanager
def _replay(bench: Bench, rate_hz: float) -> Iterator[Camera]:
    camera = open_replay(bench.settings, next(iter(bench.settings.cameras)), bench.folder, list(bench.entries), rate_hz)
    try:
        yield camera
    finally:
        camera.close()


def _message(settings: StationSettings, numbered: Inspection) -> Message:
    return result_message(numbered, Topics.of(settings), settings.products[numbered.product].label_set())


def _published(path: Path) -> dict[int, float]:
    """Return milliseconds from capture to PUBACK of the measured frames that were acknowledged, by their order."""
    database = open_database(path, read_only=True)
    try:
        rows = database.conn.execute("SELECT seq, captured_at, published_at FROM inspections WHERE published_at IS NOT NULL").fetchall()
    finally:
        database.close()
    return {
        seq - 1 - _WARM_UP: 1e3 * (from_text(published) - from_text(captured)).total_seconds()
        for seq, captured, published in rows
        if seq > _WARM_UP
    }


def _message_bytes(bench: Bench, path: Path) -> int:
    """Return the mean length of the newest messages."""
    with Log(path, bench.settings.name, read_only=True) as log:
        sizes = [len(_message(bench.settings, one).payload) for one in log.find(limit=20)]
    return round(sum(sizes) / len(sizes))


def _quiet(_line: str) -> None:
    """Say nothing: what waits is counted."""
