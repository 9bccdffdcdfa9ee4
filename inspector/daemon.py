"""The daemon of one station: start in order, loop, stop in reverse.

``open_judge`` builds what ``inspector inspect`` shares: model, reports and pipeline. ``run`` adds log, publisher, retention and cameras and
loops until told to stop or until every replay is over. If the log cannot be written the daemon stops, loudly: an unlogged verdict would
be a lost part.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import TypeAlias

from inspector.core.frame import Frame
from inspector.edge.camera import CameraFault, Feed, FrameQueue, open_camera
from inspector.edge.disk.opening import open_for_writing
from inspector.edge.log import database_path
from inspector.edge.memory import MemoryLimit
from inspector.edge.pictures import PictureStore
from inspector.edge.publisher import Publisher
from inspector.edge.recorder import Recorder, Tally, rebuild_for
from inspector.edge.reports import ReportStore
from inspector.edge.retention import retain
from inspector.edge.spoken import spoken
from inspector.edge.systemd import Systemd
from inspector.edge.topics import Topics
from inspector.errors import InspectorError, RestartNeeded
from inspector.orders import Orders, Rereading, Surroundings, open_link
from inspector.pipeline import NoReports, Pipeline, Product, Reports
from inspector.settings import StationSettings, read_camera_calibrations, read_decision, read_normalities, read_station, refuse_other_model
from inspector.vlm.checkpoint import Checkpoint, open_checkpoint
from inspector.vlm.encoder import open_encoder
from inspector.vlm.onnx_predictor import OnnxPredictor

Notices: TypeAlias = SimpleQueue[tuple[str, str]]
"""Events (kind, detail) from other threads, which the loop's thread writes to the log."""
_TAKE_TIMEOUT_S = 0.25
"""How long the loop waits for a frame before it looks at its duties."""
_CAMERA_JOIN_S = 2.0
"""How long a camera may take to let go at the end."""


@contextmanager
def open_judge(settings: StationSettings, root: Path, *, use_reports: bool = True, use_normality: bool = True) -> Iterator[Pipeline]:
    """Open model and reports; yield the pipeline that joins them. Raises ``InspectorError`` if a part cannot be used."""
    checkpoint = open_checkpoint(root / "models" / settings.model.checkpoint)
    predictor = OnnxPredictor(checkpoint, providers=settings.model.providers, threads=settings.model.threads)
    normalities = read_normalities(settings.folder) if use_normality else {}
    refuse_other_model(normalities, predictor.name, settings.folder)
    products = {
        name: Product(
            section.description or name,
            section.label_set(),
            settings.override(read_decision(settings.folder, name)),
            normalities.get(name),
        )
        for name, section in settings.products.items()
    }
    predictor.check_labels({name: product.labels for name, product in products.items()})
    with ExitStack() as parts:
        reports: Reports = NoReports(checkpoint.report_width)
        if use_reports and settings.reports.max_reports:
            reports = _open_reports(settings, root, checkpoint, {name: product.description for name, product in products.items()})
            parts.callback(reports.close)
        yield Pipeline(
            predictor=predictor,
            reports=reports,
            products=products,
            default_product=settings.default_product,
            regions={region.name: region for region in settings.region_list()},
            quality=settings.quality,
            calibrations=read_camera_calibrations(settings.folder),
            age_limits_ms=settings.age_limits_ms,
            is_simulated=settings.station.is_simulated,
        )


def run(
    settings: StationSettings, root: Path, stop: threading.Event, say: Callable[[str], None], rereading: Rereading | None = None
) -> Tally:
    """Run the station until ``stop`` is set or every replay is over; return what was done.

    ``say`` gets one line for each thing an operator should know. ``rereading`` tells how and when to read
    the settings anew; by default station.toml, when a command asks for it. Raises ``InspectorError`` if the station cannot start or go on.
    """
    systemd, path, notices = Systemd(), database_path(settings, root), Notices()
    systemd.extend_timeout(60.0)
    with ExitStack() as parts:
        parts.enter_context(_told_to(systemd))
        opened = parts.enter_context(
            open_for_writing(path, settings.name, settings.log, rebuild_for(settings), lambda: systemd.extend_timeout(600.0))
        )
        publisher = parts.enter_context(_publisher(settings, path, say))
        pipeline = parts.enter_context(open_judge(settings, root))
        parts.enter_context(_retention(settings, path, notices))
        line = parts.enter_context(_cameras(settings, notices))
        link = parts.enter_context(open_link(settings, path, lambda *event: notices.put(event), line.queue.nudge))
        recorder = Recorder(opened.log, publisher, settings, PictureStore(path.parent, settings.log), Tally(), say)
        rereading = rereading or Rereading(lambda: read_station(settings.folder))
        orders = Orders(pipeline, Surroundings(recorder, line, link, rereading, systemd))
        recorder = replace(
            recorder,
            show=orders.logged,
            room=opened.room,
            explain=lambda frame, judged: orders.pipeline.label_maps(frame, judged),  # noqa: PLW0108 - a reload changes it
        )
        for event in opened.told:
            recorder.note(*event)
        recorder.note("started", f"model {pipeline.predictor.name}, {len(line.feeds)} camera(s), log {path}")
        recorder.tell("running")
        systemd.ready(f"running, model {pipeline.predictor.name}")
        excess = _loop(orders, line, recorder, notices, systemd, stop)
        systemd.stopping("judging the frames in hand")
        line.stop()
        _judge_waiting(orders, line, recorder)
        _note_all(notices, recorder)
        if excess:
            recorder.note("memory-limit", excess)
        recorder.note("stopped", json.dumps(recorder.tally.to_dict(line.queue.dropped)))
    if excess:  # only now: the outbox has had its time, and the broker knows that the station stopped in order
        raise RestartNeeded(f"{excess}; stopped in order, to be started anew")
    return recorder.tally


def _loop(orders: Orders, line: "Line", recorder: Recorder, notices: Notices, systemd: Systemd, stop: threading.Event) -> str:
    """Judge and record frames until told to stop, nothing is left, or memory passes its limit; return what it passes."""
    memory = MemoryLimit(recorder.settings.health.max_rss_bytes)
    ping_every_s, pinged_s = systemd.watchdog_period_s(), 0.0
    while not stop.is_set():
        is_over = line.is_over  # asked before taking: what came in since is still taken
        frames = line.queue.take(recorder.settings.model.max_batch, 0.0 if is_over else _TAKE_TIMEOUT_S)
        if frames:
            _judge(frames, orders, recorder)
        elif is_over:
            return ""
        orders.attend()
        _note_all(notices, recorder)
        if ping_every_s is not None and time.monotonic() - pinged_s >= ping_every_s and recorder.is_alive:
            systemd.ping()
            pinged_s = time.monotonic()
        if excess := memory.excess():
            return excess
    return ""


def _note_all(notices: Notices, recorder: Recorder) -> None:
    """Write what other threads had to tell."""
    while not notices.empty():
        recorder.note(*notices.get())


def _judge(frames: Sequence[Frame], orders: Orders, recorder: Recorder) -> None:
    """Judge and record what commands let in."""
    if admitted := orders.admit(frames):
        recorder.record(admitted, orders.pipeline.inspect(admitted))


def _judge_waiting(orders: Orders, line: "Line", recorder: Recorder) -> None:
    """Judge what the cameras had delivered before they stopped: no part passes silently."""
    while frames := line.queue.take(recorder.settings.model.max_batch, 0.0):
        _judge(frames, orders, recorder)


@dataclass(frozen=True, slots=True)
class Line:
    """The station's cameras and the queue that they feed."""

    queue: FrameQueue
    """Where frames wait."""
    feeds: Sequence[Feed]
    """One thread a camera."""
    stopping: threading.Event
    """Set to stop all feeds."""

    @property
    def is_over(self) -> bool:
        """True when every replay is over. Raises what ended a feed against its will."""
        for feed in self.feeds:
            feed.raise_if_broken()
        return all(feed.finished.is_set() for feed in self.feeds)

    def trigger(self, camera: str) -> bool:
        """Ask a camera for one frame; return False if it delivers by itself. Never waits."""
        return any(feed.trigger() for feed in self.feeds if feed.name == camera)

    def leave_out(self, camera: str) -> None:
        """Count a frame that is not judged."""
        self.queue.count_dropped(camera, 1)

    def stop(self) -> None:
        """Stop all feeds at once and wait for them, together not longer than for one; the frames in their hands come into the queue."""
        self.stopping.set()
        until_s = time.monotonic() + _CAMERA_JOIN_S
        for feed in self.feeds:
            feed.join(max(until_s - time.monotonic(), 0.0))


def _open_reports(settings: StationSettings, root: Path, checkpoint: Checkpoint, descriptions: dict[str, str]) -> ReportStore:
    """Open the station's reports; embed those that have no vector of the encoder in use."""
    encoder = open_encoder(settings.encoder, root / "models")
    checkpoint.refuse_other_encoder(encoder.revision)
    store = ReportStore(database_path(settings, root), encoder.encode, encoder.revision, settings.reports, descriptions)
    store.embed_missing()
    return store


@contextmanager
def _told_to(systemd: Systemd) -> Iterator[None]:
    """Let systemd know what ends the station against its will."""
    try:
        yield
    except InspectorError as error:
        systemd.stopping(f"fault: {error}")
        raise


@contextmanager
def _publisher(settings: StationSettings, path: Path, say: Callable[[str], None]) -> Iterator[Publisher | None]:
    """Run the publisher; at the end give the outbox its time to empty, and tell why the station stops if a fault ended it."""
    if not settings.mqtt.enabled:
        yield None
        return
    birth = {
        "products": {name: list(section.labels) for name, section in settings.products.items()},
        "cameras": list(settings.cameras),
        "checkpoint": settings.model.checkpoint,
        "commands": list(settings.commands.allow),
    }
    publisher = Publisher(settings.mqtt, Topics.of(settings), path, birth, base=settings.folder)
    publisher.start()
    reason = ""
    try:
        yield publisher
    except InspectorError as error:
        reason = str(error)
        publisher.status("fault", reason)
        raise
    finally:
        try:
            if not publisher.drain(settings.health.stop_timeout_s / 2):
                waiting = f"{publisher.depth} message(s) wait in the outbox; they are published at the next start"
                say(spoken(settings, "outbox-waiting", waiting))
        finally:
            publisher.stop(reason)


@contextmanager
def _retention(settings: StationSettings, path: Path, notices: Notices) -> Iterator[None]:
    """Run the retention thread."""
    stop = threading.Event()

    def on_fault(kind: str, message: str | None) -> None:
        notices.put((kind, message) if message else (f"{kind}-ended", "the fault is over"))

    thread = threading.Thread(target=retain, args=(path, settings.log, stop, on_fault), name="retention", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_CAMERA_JOIN_S)


@contextmanager
def _cameras(settings: StationSettings, notices: Notices) -> Iterator[Line]:
    """Run one feed a camera."""

    def on_fault(fault: CameraFault) -> None:
        is_back = fault.ended_at is not None
        notices.put(("camera-back", f"{fault.camera}: delivers again") if is_back else ("camera-lost", f"{fault.camera}: {fault.reason}"))

    queue, stopping = FrameQueue(), threading.Event()
    cameras = [
        open_camera(name, section, station=settings.name, base=settings.folder, max_pixels=settings.quality.max_pixels)
        for name, section in settings.cameras.items()
    ]
    line = Line(queue, [Feed(camera, queue, stopping, on_fault) for camera in cameras], stopping)
    for feed in line.feeds:
        feed.start()
    try:
        yield line
    finally:
        line.stop()
        queue.close()
