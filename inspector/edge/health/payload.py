"""What stands in the message on ``metrics``. Its JSON Schema is generated from here; changes within ``/1`` only add fields."""

from typing import Literal, Self

from pydantic import Field

from inspector import __version__
from inspector.edge.camera import CameraCounters
from inspector.edge.health.figures import Figures
from inspector.edge.instants import now
from inspector.edge.payload import Duration, Instant, Payload, State


class CameraFigures(Payload):
    """How one camera has fared since the daemon began."""

    frames: int = Field(ge=0, description="Frames delivered, faulty ones included.")
    faulty_frames: int = Field(ge=0, description="Frames among them that hold a fault instead of a picture.")
    dropped: int = Field(ge=0, description="Frames that gave way to newer ones.")
    faults: int = Field(ge=0, description="Times that the camera was lost or could not work.")
    reconnects: int = Field(ge=0, description="Times that it came back.")
    lost_packets: int = Field(ge=0, description="Network packets missing in its frames; 0 where the camera cannot tell.")
    is_lost: bool = Field(description="True while a fault lasts.")
    last_frame_age_ms: Duration | None = Field(description="Time since its last good frame was taken; null before the first.")

    @classmethod
    def of(cls, counters: CameraCounters) -> Self:
        """Return a camera's part of the message."""
        return cls(**{name: value for name, value in counters.to_dict().items() if name != "camera"})


class Quantiles(Payload):
    """A latency, over the last 10,000 verdicts."""

    p50_ms: Duration = Field(description="Half of them took no longer.")
    p95_ms: Duration = Field(description="95 of 100 took no longer.")
    p99_ms: Duration = Field(description="99 of 100 took no longer.")
    max_ms: Duration = Field(description="The longest.")


class Verdicts(Payload):
    """Logged inspections by disposition."""

    passed: int = Field(ge=0, alias="pass", description="Parts that passed.")
    fail: int = Field(ge=0, description="Parts that failed.")
    review: int = Field(ge=0, description="Parts that a person must look at.")


class MetricsPayload(Payload):
    """Figures about the daemon. Topic: metrics, not retained; every number that counts begins anew with the daemon."""

    schema_id: Literal["inspector.metrics/1"] = Field("inspector.metrics/1", alias="schema", description="Names this schema.")
    station: str = Field(description="Name of the station.")
    taken_at: Instant = Field(description="When the figures were taken.")
    began_at: Instant = Field(description="When the daemon began: a later one means that it counts anew.")
    version: str = Field(description="Version of inspector.")
    model: str = Field(description="Name and revision of the model.")
    state: State = Field(description="As the status tells it.")
    verdicts: Verdicts = Field(description="How many inspections were logged since the daemon began.")
    last_verdict_at: Instant | None = Field(description="When the newest verdict was reached; null before the first.")
    capture_to_row_ms: Quantiles = Field(description="From capture to the committed row of the log.")
    cameras: dict[str, CameraFigures] = Field(description="How each camera has fared, by name.")
    waiting: int | None = Field(ge=0, description="Messages in the outbox; null if the log cannot be read.")
    oldest_waiting_at: Instant | None = Field(description="Since when the oldest of them has waited; null without any.")
    rss_bytes: int = Field(ge=0, description="Resident memory of the daemon.")

    @classmethod
    def of(cls, figures: Figures) -> Self:
        """Return the message about the figures."""
        return cls(
            station=figures.station,
            taken_at=now(),
            began_at=figures.began_at,
            version=__version__,
            model=figures.model,
            state=figures.state,
            verdicts=Verdicts(
                passed=figures.verdicts.get("pass", 0), fail=figures.verdicts.get("fail", 0), review=figures.verdicts.get("review", 0)
            ),
            last_verdict_at=figures.last_verdict_at,
            capture_to_row_ms=Quantiles(**figures.capture_to_row),
            cameras={counters.camera: CameraFigures.of(counters) for counters in figures.cameras},
            waiting=None if figures.waiting is None else figures.waiting.count,
            oldest_waiting_at=None if figures.waiting is None else figures.waiting.oldest_at,
            rss_bytes=figures.rss_bytes,
        )
