"""Messages for the outbox: a payload, its topic and its CloudEvents attributes (binary mode of the MQTT 5 binding, 1.0.2)."""

from inspector.core.inspection import Inspection
from inspector.core.label import LabelSet
from inspector.edge.health.figures import Figures
from inspector.edge.health.payload import MetricsPayload
from inspector.edge.instants import to_text
from inspector.edge.log import Event
from inspector.edge.outbox import Message
from inspector.edge.payload import EventPayload, ResultPayload, ReviewPayload
from inspector.edge.settling import Settled
from inspector.edge.topics import Topics


def result_message(inspection: Inspection, topics: Topics, labels: LabelSet | None = None) -> Message:
    """Return the message about a logged inspection."""
    attributes = {
        "specversion": "1.0",
        "type": "inspector.result.v1",
        "source": f"/{topics.place}",
        "id": inspection.inspection_id,
        "time": to_text(inspection.inspected_at, "milliseconds"),
        "subject": inspection.part_id or inspection.frame_id,
    }
    return Message(topics.result, ResultPayload.of(inspection, labels).to_json(), properties=attributes)


def event_message(event: Event, topics: Topics) -> Message:
    """Return the message about a logged event."""
    payload = EventPayload(
        station=event.station, event_id=event.event_id, occurred_at=event.occurred_at, kind=event.kind, detail=event.detail
    )
    attributes = {
        "specversion": "1.0",
        "type": "inspector.event.v1",
        "source": f"/{topics.place}",
        "id": f"event-{event.event_id}",
        "time": to_text(event.occurred_at, "milliseconds"),
        "subject": event.kind,
    }
    return Message(topics.event, payload.to_json(), properties=attributes)


def review_message(settled: Settled, topics: Topics) -> Message:
    """Return the message about a review."""
    review, judged = settled.review, settled.inspection
    disposition = review.disposition(settled.labels)
    payload = ReviewPayload(
        review_id=review.review_id,
        inspection_id=review.inspection_id,
        seq=judged.seq,
        station=review.station,
        camera=judged.camera,
        product=judged.product,
        lot=judged.lot,
        part_id=judged.part_id,
        is_simulated=judged.is_simulated,
        evaluation="OK" if disposition == "pass" else "NotOK",
        disposition=disposition,
        label=review.label,
        agrees=settled.agrees,
        box_px=review.box_px,
        note=review.note,
        reviewer=review.reviewer,
        reviewed_at=review.reviewed_at,
        judged=judged.verdict.disposition,
        judged_label=judged.label,
        judged_confidence=judged.confidence,
        report_id=settled.report.report_id,
    )
    attributes = {
        "specversion": "1.0",
        "type": "inspector.review.v1",
        "source": f"/{topics.place}",
        "id": review.review_id,
        "time": to_text(review.reviewed_at, "milliseconds"),
        "subject": judged.part_id or judged.frame_id,
    }
    return Message(topics.review, payload.to_json(), properties=attributes)


def metrics_message(figures: Figures, topics: Topics) -> Message:
    """Return the message about the station's figures; it is no CloudEvent and stands in no outbox."""
    return Message(topics.metrics, MetricsPayload.of(figures).to_json())
