"""What stands in the MQTT messages: result, status, event. The JSON Schemas in ``inspector/schemas`` are generated from here.

Changes within ``/1`` only add fields; subscribers ignore fields that they do not know. Field names follow OPC 40001-101
(Machinery Result Transfer) where it has one. Instants are RFC 3339 in UTC with milliseconds, durations end in ``_ms``.
"""

import re
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from inspector.core.decision_calibration import DecisionCalibration
from inspector.core.inspection import Disposition, Inspection
from inspector.core.label import LabelSet, Severity
from inspector.edge.instants import to_text

Instant = Annotated[
    datetime,
    PlainSerializer(lambda instant: to_text(instant, "milliseconds"), return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Probability = Annotated[float, Field(ge=0.0, le=1.0), PlainSerializer(lambda share: round(share, 6), return_type=float)]
Duration = Annotated[float, Field(ge=0.0), PlainSerializer(lambda span: round(span, 3), return_type=float)]
State = Literal["starting", "running", "degraded", "paused", "stopped", "fault", "offline"]


class Payload(BaseModel):
    """A part of a message."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True)

    def to_json(self) -> bytes:
        """Return the message as compact UTF-8 JSON."""
        return self.model_dump_json().encode()


class Defect(Payload):
    """A region that did not pass."""

    region: str = Field(description="Name of the region.")
    label: str = Field(description="Most probable label there.")
    severity: Severity = Field(description="How bad the station's settings call this label.")
    confidence: Probability = Field(description="Probability of the label, 0 to 1.")
    disposition: Disposition = Field(description="What this region alone is judged to be: fail or review.")
    box_px: tuple[int, int, int, int] | None = Field(description="[x, y, width, height] in pixels of the frame; null: the whole frame.")


class FrameRecord(Payload):
    """The picture that was judged."""

    camera: str = Field(description="Name of the camera.")
    frame_id: str = Field(description="Identifies the frame within its camera.")
    width_px: int = Field(ge=0, description="Width, pixels; 0 if there was no picture.")
    height_px: int = Field(ge=0, description="Height, pixels; 0 if there was no picture.")
    source: str | None = Field(description="File or address it came from, without user name and password.")


class Standing(Payload):
    """Thresholds of a verdict, and the promise that goes with them."""

    target_escape: float | None = Field(description="Promised: at most this share of defective parts passes, 0 to 1; null: no promise.")
    confidence: float | None = Field(description="Probability with which such a fit keeps its promise, 0 to 1; null: no promise.")
    groups: int = Field(ge=0, description="Groups with defective parts behind the promise; 0: no promise.")
    pass_above: float = Field(ge=0.0, le=1.0, description="Least probability of the good label for a pass.")
    fail_above: float = Field(ge=0.0, le=1.0, description="Least probability of a defect for a fail; what lies between goes to review.")
    fitted_on: int = Field(ge=1, description="Labelled pictures behind the fit.")
    calibrated_at: Instant | None = Field(description="When it was fitted; null: not known.")

    @classmethod
    def of(cls, calibration: DecisionCalibration) -> Self:
        """Return what the message tells of a calibration."""
        return cls(**{name: getattr(calibration, name) for name in cls.model_fields})


class Likeness(Payload):
    """How unlike good parts a region is."""

    score: float = Field(ge=0.0, description="Distance to the good parts seen; no probability, to be held against the limit alone.")
    limit: float = Field(gt=0.0, description="A region that scores above is unlike any good part seen and cannot pass.")


class ResultPayload(Payload):
    """One inspection. Topic: result."""

    schema_id: Literal["inspector.result/1"] = Field("inspector.result/1", alias="schema", description="Names this schema.")
    inspection_id: str = Field(description="UUID of the inspection. A message may come twice: drop it if this id has been seen.")
    seq: int | None = Field(ge=1, description="Number within the station, without gaps; null if the inspection is not logged.")
    station: str = Field(description="Name of the station.")
    camera: str = Field(description="Name of the camera.")
    product: str = Field(description="Product that was judged.")
    lot: str | None = Field(description="Lot, position or batch.")
    part_id: str | None = Field(description="Serial number of the part.")
    is_simulated: bool = Field(description="True for replays, demos and tests: not a part on the line.")
    result_state: Literal["completed", "failed"] = Field(description="failed: no judgement took place.")
    evaluation: Literal["OK", "NotOK", "NotDecidable", "Undefined"] = Field(
        description="OK: passed. NotOK: failed. NotDecidable: not sure, a person must look. "
        "Undefined: camera, picture or model at fault, a person must look."
    )
    disposition: Disposition = Field(description="pass, fail or review.")
    reason: str = Field(description="Why, in words.")
    label: str | None = Field(description="Label that decided; null after a fault.")
    confidence: Probability | None = Field(description="Probability of the label, 0 to 1; null after a fault.")
    defects: list[Defect] = Field(description="The regions whose most probable label is a defect and that did not pass.")
    posterior: dict[str, dict[str, Probability]] = Field(description="Probability of every label, by region; empty after a fault.")
    reports: list[str] = Field(description="Ids of the historical QC reports that the model read.")
    captured_at: Instant = Field(description="When the picture was taken.")
    inspected_at: Instant = Field(description="When the verdict was reached.")
    frame_age_ms: Duration = Field(description="From grab to verdict, milliseconds.")
    times_ms: dict[str, Duration] = Field(description="Milliseconds by stage; total is the whole.")
    model: str = Field(description="Name and revision of the model.")
    frame: FrameRecord = Field(description="Where the picture came from, and its size.")
    calibration: Standing | None = Field(
        None, description="Thresholds and promise that the verdict stands under; null if nothing was fitted or no judgement took place."
    )
    normality: dict[str, Likeness] | None = Field(
        None, description="How unlike good parts each region is; null if no normality was fitted or no judgement took place."
    )

    @classmethod
    def of(cls, inspection: Inspection, labels: LabelSet | None = None) -> Self:
        """Return the message about an inspection. ``labels`` tells severities and which label means "no defect"."""
        verdict = inspection.verdict
        return cls(
            inspection_id=inspection.inspection_id,
            seq=inspection.seq,
            station=inspection.station,
            camera=inspection.camera,
            product=inspection.product,
            lot=inspection.lot,
            part_id=inspection.part_id,
            is_simulated=inspection.is_simulated,
            result_state="failed" if verdict.fault else "completed",
            evaluation=verdict.evaluation,
            disposition=verdict.disposition,
            reason=verdict.reason,
            label=inspection.label,
            confidence=inspection.confidence,
            defects=_defects(inspection, labels),
            posterior={p.region: dict(p.scores) for p in inspection.predictions},
            reports=list(inspection.report_ids),
            captured_at=inspection.captured_at,
            inspected_at=inspection.inspected_at,
            frame_age_ms=inspection.frame_age_ms,
            times_ms=dict(inspection.timings_ms),
            model=inspection.model,
            frame=FrameRecord(
                camera=inspection.camera,
                frame_id=inspection.frame_id,
                width_px=inspection.width_px,
                height_px=inspection.height_px,
                source=None if inspection.source is None else without_password(inspection.source),
            ),
            calibration=None if inspection.calibration is None else Standing.of(inspection.calibration),
            normality=_likeness(inspection),
        )


class StatusPayload(Payload):
    """State of the station. Topic: status, retained; the last will bears state offline."""

    schema_id: Literal["inspector.status/1"] = Field("inspector.status/1", alias="schema", description="Names this schema.")
    station: str = Field(description="Name of the station.")
    state: State = Field(description="offline comes from the broker when the connection is lost; all others from the station.")
    reason: str = Field(description="Why, in words; may be empty.")
    since: Instant | None = Field(description="When this state began; null in the last will, whose instant nobody knows beforehand.")
    version: str = Field(description="Version of inspector.")
    boot_id: str = Field(description="UUID of this run of the daemon.")
    seq: int | None = Field(ge=0, description="Last number that the log gave, 0 before the first; null in the last will.")
    waiting: int | None = Field(ge=0, description="Messages that wait in the outbox; null in the last will.")
    product: str | None = Field(None, description="Product of frames that name none; null in the last will.")
    lot: str | None = Field(None, description="Lot of frames that name none; null: none.")


class EventPayload(Payload):
    """Something that happened and is not an inspection. Topic: event."""

    schema_id: Literal["inspector.event/1"] = Field("inspector.event/1", alias="schema", description="Names this schema.")
    station: str = Field(description="Name of the station.")
    event_id: int = Field(ge=1, description="Number within the station's log.")
    occurred_at: Instant = Field(description="When it happened.")
    kind: str = Field(description="What, such as camera-lost.")
    detail: str = Field(description="What exactly, in words.")


class ReviewPayload(Payload):
    """What a person decided about a part. Topic: review."""

    schema_id: Literal["inspector.review/1"] = Field("inspector.review/1", alias="schema", description="Names this schema.")
    review_id: str = Field(description="UUID of the review. A message may come twice: drop it if this id has been seen.")
    inspection_id: str = Field(description="The inspection that was looked at; its result stays as it was published.")
    seq: int | None = Field(ge=1, description="Number of that inspection.")
    station: str = Field(description="Name of the station.")
    camera: str = Field(description="Name of the camera.")
    product: str = Field(description="Product.")
    lot: str | None = Field(description="Lot, position or batch.")
    part_id: str | None = Field(description="Serial number of the part.")
    is_simulated: bool = Field(description="True for replays, demos and tests: not a part on the line.")
    evaluation: Literal["OK", "NotOK"] = Field(description="OK: passed. NotOK: failed.")
    disposition: Literal["pass", "fail"] = Field(description="What becomes of the part.")
    label: str | None = Field(description="True label; null: it cannot be told.")
    agrees: bool = Field(description="True if the model had found the same label.")
    box_px: tuple[int, int, int, int] | None = Field(
        description="[x, y, width, height] of the defect in pixels of the frame; null: not drawn."
    )
    note: str = Field(description="What the person wrote; may be empty.")
    reviewer: str = Field(description="Who signed.")
    reviewed_at: Instant = Field(description="When it was signed.")
    judged: Disposition = Field(description="What the station had decided: pass, fail or review.")
    judged_label: str | None = Field(description="The label that it had found; null after a fault.")
    judged_confidence: Probability | None = Field(description="Its probability, 0 to 1; null after a fault.")
    report_id: str = Field(description="Id of the historical QC report that was made of it.")


def without_password(source: str) -> str:
    """Return an address without user name and password; a file name as it is."""
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/]*@", r"\1", source)


def _likeness(inspection: Inspection) -> dict[str, Likeness] | None:
    """Return what the message tells of normality, by region."""
    found = {p.region: p.normality for p in inspection.predictions if p.normality is not None}
    return {region: Likeness(score=round(n.score, 6), limit=round(n.limit, 6)) for region, n in found.items()} or None


def _defects(inspection: Inspection, labels: LabelSet | None) -> list[Defect]:
    """Return the findings whose label is a defect."""
    good, severity = (labels.good, labels.severity) if labels is not None else (None, {})
    return [
        Defect(
            region=f.region,
            label=f.label,
            severity=severity.get(f.label, "major"),
            confidence=f.confidence,
            disposition=f.disposition,
            box_px=f.box_px,
        )
        for f in inspection.verdict.findings
        if f.label != good
    ]
