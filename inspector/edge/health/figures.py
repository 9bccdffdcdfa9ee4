"""Figures: the station in numbers at one instant, for the port of Prometheus and the topic ``metrics``.

They are put together by whoever asks, in a thread of its own: counters are read, and the frame loop neither works nor waits for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeAlias

from inspector.core.histogram import Spread
from inspector.core.inspection import Disposition
from inspector.edge.camera import CameraCounters
from inspector.edge.health.tally import Tally
from inspector.edge.log import Log
from inspector.edge.memory import rss_bytes
from inspector.edge.outbox import Waiting
from inspector.edge.payload import State
from inspector.errors import LogError


class Counted(Protocol):
    """A camera that counts."""

    @property
    def counters(self) -> CameraCounters:
        """How it has fared. May be asked for from any thread."""
        ...


@dataclass(frozen=True, slots=True)
class Figures:
    """The station in numbers. Everything that is counted begins anew with the daemon."""

    station: str
    """Name of the station."""
    model: str
    """``name@revision`` of the checkpoint."""
    state: State
    """As the status tells it."""
    began_at: datetime
    """When the daemon began, UTC."""
    cameras: tuple[CameraCounters, ...]
    """How each camera has fared."""
    verdicts: Mapping[Disposition, int]
    """Logged inspections by disposition."""
    last_verdict_at: datetime | None
    """When the newest of them was judged, UTC; None before the first."""
    frame_age: Spread
    """From capture to verdict, seconds."""
    stages: Mapping[str, Spread]
    """Time by stage, seconds; ``capture_to_row`` is the whole way."""
    capture_to_row: Mapping[str, float]
    """p50_ms, p95_ms, p99_ms and max_ms of the most recent 10,000, milliseconds."""
    waiting: Waiting | None
    """The outbox; None if the log cannot be read, which those who write to it tell."""
    rss_bytes: int
    """Resident memory of the daemon."""


ReadFigures: TypeAlias = Callable[[], Figures]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the figures come from."""

    station: str
    """Name of the station."""
    model: str
    """``name@revision`` of the checkpoint."""
    database: Path
    """The log."""
    tally: Tally
    """What the frame loop has done."""
    cameras: Sequence[Counted]
    """The cameras."""

    def read(self) -> Figures:
        """Return the figures of this instant. May be called from any thread."""
        tally = self.tally
        return Figures(
            station=self.station,
            model=self.model,
            state=tally.told[0],
            began_at=tally.began_at,
            cameras=tuple(camera.counters for camera in self.cameras),
            verdicts=dict(tally.verdicts),
            last_verdict_at=tally.last_verdict_at,
            frame_age=tally.frame_age.read(),
            stages=tally.spreads(),
            capture_to_row=tally.to_row.summary(),
            waiting=self._waiting(),
            rss_bytes=rss_bytes(),
        )

    def _waiting(self) -> Waiting | None:
        try:
            with Log(self.database, self.station, read_only=True) as log:
                return log.waiting()
        except LogError:
            return None
