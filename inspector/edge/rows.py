"""An inspection as rows of the log, and back: ``to_row`` / ``finding_rows`` and ``from_row``. Nothing is lost on the way."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from inspector.core.decision_calibration import DecisionCalibration
from inspector.core.inspection import Finding, Inspection, Verdict
from inspector.core.normality import Normality
from inspector.core.prediction import Prediction
from inspector.edge.instants import from_text, to_text


def to_row(inspection: Inspection) -> dict[str, Any]:
    """Return the row of table ``inspections``; ``inspection.seq`` must be set."""
    verdict = inspection.verdict
    unlike = inspection.normality
    return {
        "inspection_id": inspection.inspection_id,
        "station": inspection.station,
        "seq": inspection.seq,
        "camera": inspection.camera,
        "frame_id": inspection.frame_id,
        "product": inspection.product,
        "lot": inspection.lot,
        "part_id": inspection.part_id,
        "captured_at": to_text(inspection.captured_at),
        "inspected_at": to_text(inspection.inspected_at),
        "frame_age_ms": inspection.frame_age_ms,
        "total_ms": inspection.timings_ms.get("total"),
        "disposition": verdict.disposition,
        "evaluation": verdict.evaluation,
        "reason": verdict.reason,
        "is_fault": int(verdict.fault),
        "label": inspection.label,
        "confidence": inspection.confidence,
        "model": inspection.model,
        "report_ids": _json(list(inspection.report_ids)),
        "posterior": _json([_prediction_fields(prediction) for prediction in inspection.predictions]),
        "timings_ms": _json(dict(inspection.timings_ms)),
        "width_px": inspection.width_px,
        "height_px": inspection.height_px,
        "source": inspection.source,
        "image_path": inspection.image_path,
        "is_simulated": int(inspection.is_simulated),
        "calibration": None if inspection.calibration is None else _json(_calibration_fields(inspection.calibration)),
        "normality_score": None if unlike is None else unlike.score,
        "normality_limit": None if unlike is None else unlike.limit,
    }


def finding_rows(inspection: Inspection) -> list[dict[str, Any]]:
    """Return the rows of table ``findings``."""
    return [
        {
            "inspection_id": inspection.inspection_id,
            "region": finding.region,
            "label": finding.label,
            "confidence": finding.confidence,
            "disposition": finding.disposition,
            **dict(zip(("x_px", "y_px", "width_px", "height_px"), finding.box_px or (None,) * 4, strict=True)),
        }
        for finding in inspection.verdict.findings
    ]


def from_row(row: Mapping[str, Any], findings: Iterable[Mapping[str, Any]]) -> Inspection:
    """Build the inspection again from its row and its findings' rows, the latter in their order."""
    verdict = Verdict(row["disposition"], tuple(_finding(item) for item in findings), row["reason"], bool(row["is_fault"]))
    predictions = tuple(_prediction(item) for item in json.loads(row["posterior"]))
    return Inspection(
        inspection_id=row["inspection_id"],
        station=row["station"],
        camera=row["camera"],
        frame_id=row["frame_id"],
        product=row["product"],
        captured_at=from_text(row["captured_at"]),
        inspected_at=from_text(row["inspected_at"]),
        frame_age_ms=row["frame_age_ms"],
        verdict=verdict,
        predictions=predictions,
        timings_ms=json.loads(row["timings_ms"]),
        model=row["model"],
        seq=row["seq"],
        lot=row["lot"],
        part_id=row["part_id"],
        width_px=row["width_px"],
        height_px=row["height_px"],
        source=row["source"],
        image_path=row["image_path"],
        is_simulated=bool(row["is_simulated"]),
        calibration=None if row["calibration"] is None else _calibration(json.loads(row["calibration"])),
    )


def _prediction_fields(prediction: Prediction) -> dict[str, Any]:
    """Return the fields of a prediction as JSON takes them."""
    fields = {
        "region": prediction.region,
        "scores": dict(prediction.scores),
        "report_ids": list(prediction.report_ids),
        "model": prediction.model,
    }
    found = prediction.normality
    return fields if found is None else fields | {"normality": {"score": found.score, "limit": found.limit}}


def _prediction(fields: Mapping[str, Any]) -> Prediction:
    """Build a prediction again; rows written before normality was known have none."""
    normality = Normality(**fields["normality"]) if "normality" in fields else None
    return Prediction(fields["region"], fields["scores"], tuple(fields["report_ids"]), fields["model"], normality)


def _calibration_fields(calibration: DecisionCalibration) -> dict[str, Any]:
    """Return the fields of a calibration as JSON takes them."""
    at = calibration.calibrated_at
    return asdict(calibration) | {"calibrated_at": None if at is None else to_text(at)}


def _calibration(fields: Mapping[str, Any]) -> DecisionCalibration:
    """Build a calibration again."""
    at = fields["calibrated_at"]
    return DecisionCalibration(**(dict(fields) | {"calibrated_at": None if at is None else from_text(at)}))


def _finding(row: Mapping[str, Any]) -> Finding:
    """Build one finding."""
    box = None if row["x_px"] is None else (row["x_px"], row["y_px"], row["width_px"], row["height_px"])
    return Finding(row["region"], row["label"], row["confidence"], box, row["disposition"])


def _json(value: object) -> str:
    """Write compact JSON that keeps Chinese readable."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
