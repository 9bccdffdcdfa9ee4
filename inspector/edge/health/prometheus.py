"""The port for Prometheus: ``health.metrics_port`` on the loopback interface, in the registry of this run and no other.

A scrape runs in a thread of its own, and all that it needs is read then. Names and units: https://prometheus.io/docs/practices/naming; text
format 0.0.4 or OpenMetrics, as the asker wants it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias, get_args

from prometheus_client import CollectorRegistry, ProcessCollector, start_wsgi_server
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from inspector import __version__
from inspector.core.histogram import Spread
from inspector.edge.camera import CameraCounters
from inspector.edge.health.figures import Figures, ReadFigures
from inspector.edge.instants import now
from inspector.edge.payload import State
from inspector.errors import SettingsError
from inspector.settings import StationSettings

HOST = "127.0.0.1"
"""Nobody but this machine is answered: the port knows no password."""

Show: TypeAlias = Callable[[ReadFigures], None]
"""Takes where the figures come from, once there are any."""

BY_CAMERA = {
    "frames": ("inspector_camera_frames", "Frames put into the queue, faulty ones included."),
    "faulty_frames": ("inspector_camera_faulty_frames", "Frames that held a fault instead of a picture."),
    "dropped": ("inspector_camera_dropped_frames", "Frames that gave way to newer ones."),
    "faults": ("inspector_camera_faults", "Times that the camera was lost or could not work."),
    "reconnects": ("inspector_camera_reconnects", "Times that the camera came back."),
    "lost_packets": ("inspector_camera_lost_packets", "Network packets missing in frames."),
}
"""What grows, by camera: field of its counters to name and meaning of the metric."""
CAMERA_UP = "inspector_camera_up"
CAMERA_AGE = "inspector_camera_last_frame_age_seconds"
BUILD = "inspector_build"


@contextmanager
def open_metrics(settings: StationSettings) -> Iterator[Show]:
    """Open the port, if one is set; yield who takes the figures. Raises ``SettingsError`` if it cannot be had."""
    port = settings.health.metrics_port
    if not port:
        yield lambda _read: None
        return
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    try:
        server, thread = start_wsgi_server(port, HOST, registry)
    except OSError as error:
        mistake = (
            f"health.metrics_port: {HOST}:{port} cannot be opened ({error.strerror}); set another port for each station, or end the"
            f" program that uses it (to find it: ss -ltnp 'sport = {port}')"
        )
        raise SettingsError(str(settings.folder / "station.toml"), [mistake]) from None
    try:
        yield lambda read: registry.register(FiguresCollector(read))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class FiguresCollector(Collector):
    """Turns figures into metrics, at each scrape."""

    def __init__(self, read: ReadFigures) -> None:
        """Take where the figures come from."""
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Yield every metric, as of now."""
        figures = self._read()
        yield from _station(figures)
        yield from _cameras(figures.cameras)
        yield from _verdicts(figures)
        yield from _outbox(figures)


def _station(figures: Figures) -> Iterator[Metric]:
    name, _, revision = figures.model.partition("@")
    labels = {"station": figures.station, "version": __version__, "model": name, "revision": revision}
    yield InfoMetricFamily(BUILD, "What runs here.", value=labels)
    state = GaugeMetricFamily("inspector_state", "1 for the state that the station is in, 0 for the others.", labels=["state"])
    for known in get_args(State):
        state.add_metric([known], known == figures.state)
    yield state


def _cameras(cameras: Sequence[CameraCounters]) -> Iterator[Metric]:
    for field, (name, meaning) in BY_CAMERA.items():
        counter = CounterMetricFamily(name, meaning, labels=["camera"])
        for camera in cameras:
            counter.add_metric([camera.camera], getattr(camera, field))
        yield counter
    up = GaugeMetricFamily(CAMERA_UP, "1 while the camera is well, 0 while it is lost.", labels=["camera"])
    age = GaugeMetricFamily(CAMERA_AGE, "Time since the last good frame was taken; absent before the first.", labels=["camera"])
    for camera in cameras:
        up.add_metric([camera.camera], not camera.is_lost)
        if camera.last_frame_age_ms is not None:
            age.add_metric([camera.camera], camera.last_frame_age_ms / 1e3)
    yield from (up, age)


def _verdicts(figures: Figures) -> Iterator[Metric]:
    verdicts = CounterMetricFamily("inspector_verdicts", "Inspections written to the log.", labels=["disposition"])
    for disposition, count in figures.verdicts.items():
        verdicts.add_metric([disposition], count)
    yield verdicts
    if figures.last_verdict_at is not None:
        at = figures.last_verdict_at.timestamp()
        yield GaugeMetricFamily("inspector_last_verdict_timestamp_seconds", "When the newest verdict was reached; absent before it.", at)
    age = HistogramMetricFamily("inspector_frame_age_seconds", "From capture to verdict.")
    age.add_metric([], *_buckets(figures.frame_age))
    yield age
    stages = HistogramMetricFamily("inspector_stage_duration_seconds", "Time by stage; capture_to_row is the whole way.", labels=["stage"])
    for stage, spread in figures.stages.items():
        stages.add_metric([stage], *_buckets(spread))
    yield stages


def _outbox(figures: Figures) -> Iterator[Metric]:
    """Nothing if the log cannot be read: absent is not 0."""
    if figures.waiting is None:
        return
    oldest_at = figures.waiting.oldest_at
    age_s = 0.0 if oldest_at is None else max((now() - oldest_at).total_seconds(), 0.0)
    yield GaugeMetricFamily("inspector_outbox_messages", "Messages that wait for the broker.", figures.waiting.count)
    yield GaugeMetricFamily("inspector_outbox_oldest_message_age_seconds", "How long the oldest of them has waited; 0 without any.", age_s)


def _buckets(spread: Spread) -> tuple[list[tuple[str, float]], float]:
    """Return (bound, count up to it) pairs and the sum, as the library takes them."""
    bounds = [*map(str, spread.bounds), "+Inf"]
    return list(zip(bounds, map(float, spread.cumulative), strict=True)), spread.total
