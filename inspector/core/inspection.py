"""An inspection: the whole, final record of one judged frame. This is what is logged and published."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from inspector.core.decision_calibration import DecisionCalibration
from inspector.core.normality import Normality
from inspector.core.prediction import Prediction

Disposition: TypeAlias = Literal["pass", "fail", "review"]

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "inspection.qc-inspector")


def inspection_id(station: str, camera: str, frame_id: str, captured_at_ns: int) -> str:
    """Return the id of an inspection: a UUID5 (RFC 9562) of what was judged, so that replay and redelivery agree.

    ``captured_at_ns`` is the capture instant in nanoseconds since the Unix epoch.
    """
    return str(uuid.uuid5(_NAMESPACE, f"{station}/{camera}/{frame_id}@{captured_at_ns}"))


@dataclass(frozen=True, slots=True)
class Finding:
    """A region that did not pass."""

    region: str
    """Name of the region."""
    label: str
    """Most probable label there."""
    confidence: float
    """Its probability, 0..1."""
    box_px: tuple[int, int, int, int] | None = None
    """(x, y, width, height) in pixels of the frame; None means the whole frame."""
    disposition: Disposition = "fail"
    """What this region alone is judged to be: fail or review."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is decided about the part."""

    disposition: Disposition
    """pass, fail or review."""
    findings: tuple[Finding, ...]
    """The regions that did not pass."""
    reason: str
    """Why, in words."""
    fault: bool = False
    """True when no judgement took place (camera, picture or model at fault): never a pass."""

    @classmethod
    def undecided(cls, reason: str, *, fault: bool) -> "Verdict":
        """Return a review verdict without findings."""
        return cls("review", (), reason, fault)

    @property
    def deciding(self) -> tuple[Finding, ...]:
        """The findings that made the verdict what it is: a failed part's doubtful regions are not among them."""
        return tuple(finding for finding in self.findings if finding.disposition == self.disposition) or self.findings

    @property
    def evaluation(self) -> Literal["OK", "NotOK", "NotDecidable", "Undefined"]:
        """Result evaluation in the words of OPC 40001-101."""
        if self.fault:
            return "Undefined"
        return {"pass": "OK", "fail": "NotOK", "review": "NotDecidable"}[self.disposition]  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Inspection:
    """One judged frame."""

    inspection_id: str
    """UUID5 of station, camera, frame and capture instant."""
    station: str
    """Name of the station."""
    camera: str
    """Name of the camera."""
    frame_id: str
    """Id of the frame within the camera."""
    product: str
    """Product that was judged."""
    captured_at: datetime
    """When the picture was taken, UTC."""
    inspected_at: datetime
    """When the verdict was reached, UTC."""
    frame_age_ms: float
    """From grab to verdict by the monotonic clock, milliseconds."""
    verdict: Verdict
    """The decision."""
    predictions: tuple[Prediction, ...]
    """Posterior of each region; empty after a fault."""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds by stage: preprocess, reports, prefill, pixels, vision, decode, decide, total; normality where it is fitted."""
    model: str = ""
    """``name@revision`` of the checkpoint."""
    seq: int | None = None
    """Number within the station, without gaps, given by the log; None before it is logged."""
    lot: str | None = None
    """Lot, position or batch."""
    part_id: str | None = None
    """Serial number of the part."""
    width_px: int = 0
    """Width of the frame."""
    height_px: int = 0
    """Height of the frame."""
    source: str | None = None
    """File or address the picture came from."""
    image_path: str | None = None
    """Where the stored picture lies, if one was kept."""
    is_simulated: bool = False
    """True for replays, demos and tests: not a part on the line."""
    calibration: DecisionCalibration | None = None
    """Thresholds and promise that the verdict stands under; None if nothing was fitted or no judgement took place."""

    @property
    def label(self) -> str | None:
        """The most probable label of the least certain-to-be-good region, or None after a fault."""
        if self.verdict.findings:
            return max(self.verdict.deciding, key=lambda finding: finding.confidence).label
        return self.predictions[0].label if self.predictions else None

    @property
    def confidence(self) -> float | None:
        """Probability that belongs to ``label``, 0..1, or None after a fault."""
        if self.verdict.findings:
            return max(finding.confidence for finding in self.verdict.deciding)
        return min((p.confidence for p in self.predictions), default=None)

    @property
    def normality(self) -> Normality | None:
        """Normality of the region that is most unlike good parts, or None where none was measured."""
        return max((p.normality for p in self.predictions if p.normality is not None), key=lambda found: found.excess, default=None)

    @property
    def report_ids(self) -> tuple[str, ...]:
        """Ids of all reports that stood in the model's input."""
        return tuple(dict.fromkeys(i for p in self.predictions for i in p.report_ids))
