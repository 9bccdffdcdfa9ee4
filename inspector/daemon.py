"""The daemon of one station: start in order, loop, stop in reverse.

``open_judge`` builds what ``inspector inspect`` shares: model, reports and pipeline. ``run`` adds log, publisher, retention and cameras and
loops until told to stop or until every replay is over. If the log cannot be written the daemon stops, loudly: an unlogged verdict would
be a lost part.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import TypeAlias

from inspector.core.frame import Frame
from inspector.core.normality import NormalityCalibration
from inspector.edge.camera import Line, open_line
from inspector.edge.disk.opening import open_for_writing
from inspector.edge.freed_memory import keep_freed_memory
from inspector.edge.health.figures import Sources
from inspector.edge.health.prometheus import open_metrics
from inspector.edge.health.tally import Tally
from inspector.edge.health.watch import Living, Watch
from inspector.edge.lock import mark_started
from inspector.edge.log import database_path
from inspector.edge.memory import MemoryLimit
from inspector.edge.pictures import PictureStore
from inspector.edge.publisher import Publisher
from inspector.edge.publishing import open_publisher
from inspector.edge.recorder import Recorder, rebuild_for
from inspector.edge.reports import ReportStore
from inspector.edge.retention_thread import RetentionThread, open_retention
from inspector.edge.systemd import Systemd
from inspector.errors import InspectorError, RestartNeeded
from inspector.orders import Orders, Rereading, Surroundings, open_link
from inspector.pipeline import NoReports, Pipeline, Product, Reports
from inspector.settings import StationSettings, read_camera_calibrations, read_decision, read_normalities, read_station, refuse_other_model
from inspector.vlm.encoder import open_encoder
from inspector.vlm.full_checkpoint import AnyCheckpoint
from inspector.vlm.opening import open_any, open_predictor
from inspector.vlm.parity import check_parity, memory_of, open_gate

Notices: TypeAlias = SimpleQueue[tuple[str, str]]
"""Events (kind, detail) from other threads, which the loop's thread writes to the log."""
_TAKE_TIMEOUT_S = 0.25
"""How long the loop waits for a frame before it looks at its duties."""


@contextmanager
def open_judge(
    settings: StationSettings,
    root: Path,
    *,
    use_reports: bool = True,
    use_normality: bool = True,
    read_only: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Pipeline]:
    """Open model and reports; yield the pipeline that joins them. Raises ``InspectorError`` if a part cannot be used.

    The model has passed the parity gate then; ``tell`` gets how, in a line. ``read_only`` writes nothing beside the log.
    """
    keep_freed_memory()
    checkpoint = open_any(root / "models" / settings.model.checkpoint, settings.model)
    predictor = open_predictor(checkpoint, settings.model)
    normalities = read_normalities(settings.folder) if use_normality else {}
    refuse_other_model(normalities, predictor.name, settings.folder)
    products = _products(settings, normalities)
    predictor.check_labels({name: product.labels for name, product in products.items()})
    passed = check_parity(open_gate(checkpoint, settings), lambda: predictor, memory_of(database_path(settings, root)), keep=not read_only)
    tell("; ".join([passed.text, *passed.notes, *filter(None, [predictor.standing])]))
    wants_reports = use_reports and settings.reports.max_reports > 0
    notes: tuple[str, ...] = ()
    if wants_reports and not checkpoint.encoder:
        notes = (f"reports are off: {checkpoint.name} has no report projector (docs/full-model.md)",)
    with ExitStack() as parts:
        reports: Reports = NoReports(checkpoint.report_width)
        if wants_reports and checkpoint.encoder:
            described = {name: product.description for name, product in products.items()}
            reports = _open_reports(settings, root, checkpoint, described, read_only=read_only)
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
            notes=notes,
        )


def _products(settings: StationSettings, normalities: Mapping[str, NormalityCalibration]) -> dict[str, Product]:
    """Return each product with its thresholds and what its good parts look like."""
    return {
        name: Product(
            section.description or name,
            section.label_set(),
            settings.override(read_decision(settings.folder, name)),
            normalities.get(name),
        )
        for name, section in settings.products.items()
    }


def run(
    settings: StationSettings, root: Path, stop: threading.Event, say: Callable[[str], None], rereading: Rereading | None = None
) -> Tally:
    """Run the station until ``stop`` is set or every replay is over; return what was done.

    ``say`` gets one line for each thing an operator should know. ``rereading`` tells how and when to read
    the settings anew; by default station.toml, when a command asks for it. Raises ``InspectorError`` if the station cannot start or go on.
    """
    systemd, path, notices, tally = Systemd(), database_path(settings, root), Notices(), Tally()
    systemd.extend_timeout(60.0)
    with ExitStack() as parts:
        parts.enter_context(_told_to(systemd))
        opened = parts.enter_context(
            open_for_writing(path, settings.name, settings.log, rebuild_for(settings), lambda: systemd.extend_timeout(600.0))
        )
        earlier = opened.log.last_event_id()
        publisher = parts.enter_context(open_publisher(settings, path, say))
        show_figures = parts.enter_context(open_metrics(settings))
        parity: list[str] = []
        systemd.extend_timeout(600.0)  # a full MiniCPM-V has gigabytes to hash and to load
        pipeline = parts.enter_context(open_judge(settings, root, tell=parity.append))
        retention = parts.enter_context(open_retention(path, settings.log, lambda *event: notices.put(event)))
        line = parts.enter_context(open_line(settings, lambda *event: notices.put(event)))
        figures = Sources(settings.name, pipeline.predictor.name, path, tally, line.feeds)
        show_figures(figures.read)
        link = parts.enter_context(open_link(settings, path, lambda *event: notices.put(event), line.queue.nudge, figures.read))
        recorder = Recorder(opened.log, publisher, settings, PictureStore(path.parent, settings.log), tally, say)
        rereading = rereading or Rereading(lambda: read_station(settings.folder))
        orders = Orders(pipeline, Surroundings(recorder, line, link, rereading, systemd))
        recorder = replace(
            recorder,
            show=orders.logged,
            room=opened.room,
            explain=lambda frame, judged: orders.pipeline.label_maps(frame, judged),  # noqa: PLW0108 - a reload changes it
        )
        started = f"model {pipeline.predictor.name}, {len(line.feeds)} camera(s), log {path}, {parity[0]}"
        for event in (*opened.told, *(("reports-off", note) for note in pipeline.notes), ("started", started)):
            recorder.note(*event)
        mark_started(path, earlier)
        systemd.ready(f"running, model {pipeline.predictor.name}")
        excess = _loop(orders, line, recorder, notices, Watch(systemd, _living(publisher, retention, line)), stop)
        systemd.stopping("judging the frames in hand")
        line.stop()
        _judge_waiting(orders, line, recorder)
        _note_all(notices, recorder)
        if excess:
            recorder.note("memory-limit", excess)
        recorder.note("stopped", json.dumps(tally.to_dict(line.queue.dropped)))
    if excess:  # only now: the outbox has had its time, and the broker knows that the station stopped in order
        raise RestartNeeded(f"{excess}; stopped in order, to be started anew")
    return tally


def _loop(orders: Orders, line: Line, recorder: Recorder, notices: Notices, watch: Watch, stop: threading.Event) -> str:
    """Judge and record frames until told to stop, nothing is left, or memory passes its limit; return what it passes."""
    memory = MemoryLimit(recorder.settings.health.max_rss_bytes)
    while not stop.is_set():
        is_over = line.is_over  # asked before taking: what came in since is still taken
        frames = line.queue.take(recorder.settings.model.max_batch, 0.0 if is_over else _TAKE_TIMEOUT_S)
        if frames:
            _judge(frames, orders, recorder)
        elif is_over:
            return ""
        orders.attend()
        _note_all(notices, recorder)
        watch.look(recorder.note)
        if excess := memory.excess():
            return excess
    return ""


def _living(publisher: Publisher | None, retention: RetentionThread, line: Line) -> dict[str, Living]:
    """Return who must be alive for the watchdog to be fed, by name."""
    parts: dict[str, Living] = {f"camera {feed.name}": feed for feed in line.feeds}
    return {**parts, "retention": retention, **({} if publisher is None else {"publisher": publisher})}


def _note_all(notices: Notices, recorder: Recorder) -> None:
    """Write what other threads had to tell."""
    while not notices.empty():
        recorder.note(*notices.get())


def _judge(frames: Sequence[Frame], orders: Orders, recorder: Recorder) -> None:
    """Judge and record what commands let in; then look whether a camera has moved or its light has changed."""
    if admitted := orders.admit(frames):
        recorder.record(admitted, orders.pipeline.inspect(admitted))
        for event in orders.look(admitted):
            recorder.note(*event)


def _judge_waiting(orders: Orders, line: Line, recorder: Recorder) -> None:
    """Judge what the cameras had delivered before they stopped: no part passes silently."""
    while frames := line.queue.take(recorder.settings.model.max_batch, 0.0):
        _judge(frames, orders, recorder)


def _open_reports(
    settings: StationSettings, root: Path, checkpoint: AnyCheckpoint, descriptions: dict[str, str], *, read_only: bool
) -> ReportStore:
    """Open the station's reports; embed those that have no vector of the encoder in use, unless nothing may be written."""
    encoder = open_encoder(settings.encoder, root / "models")
    checkpoint.refuse_other_encoder(encoder.revision)
    path = database_path(settings, root)
    store = ReportStore(path, encoder.encode, encoder.revision, settings.reports, descriptions, read_only=read_only)
    if not read_only:
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
