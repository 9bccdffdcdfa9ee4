"""A station with a log, for the dashboard's tests: real rows through the real log, pictures where they belong."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import cv2

from inspector.core.frame import Frame
from inspector.core.inspection import Disposition, Finding, Inspection, Verdict, inspection_id
from inspector.core.prediction import Prediction
from inspector.core.report import Report
from inspector.edge.instants import now, to_text
from inspector.edge.log import Log, database_path
from inspector.edge.pictures import PictureStore
from inspector.edge.schema import open_database
from inspector.settings import LogSection, StationSettings
from tests.station_kit import picture

LABEL = {"pass": "good", "fail": "scale", "review": "scale_pit"}


def judged(station: str, number: int, disposition: Disposition, at: datetime, *, share: float = 0.9, **changes: object) -> Inspection:
    """Return the n-th inspection of a station."""
    label = LABEL[disposition]
    scores = {name: share if name == label else (1 - share) / 3 for name in ("good", "scale", "scale_pit", "scale_crack")}
    finding = Finding("frame", label, share, (20, 30, 60, 40), disposition)
    whole = Inspection(
        inspection_id=inspection_id(station, "line", f"f{number}", int(at.timestamp() * 1e9)),
        station=station,
        camera="line",
        frame_id=f"f{number}",
        product="screw",
        captured_at=at - timedelta(milliseconds=80),
        inspected_at=at,
        frame_age_ms=80.0 + number % 7,
        verdict=Verdict(disposition, () if disposition == "pass" else (finding,), f"frame: {label} {share:.2f}"),
        predictions=(Prediction("frame", scores, ("QC-1",), "tiny@abc"),),
        timings_ms={"preprocess": 4.5, "vision": 30.0, "total": 60.0 + number % 5},
        model="tiny@abc",
        lot=f"L{number % 3}",
        part_id=f"P-{number}",
        width_px=128,
        height_px=96,
    )
    return replace(whole, **changes)  # type: ignore[arg-type] # whatever a test changes


def fill(settings: StationSettings, root: Path, inspections: list[Inspection], *, with_pictures: bool = True) -> Path:
    """Log inspections, with pictures of those that did not pass; return the log's file."""
    path = database_path(settings, root)
    store = PictureStore(path.parent, LogSection(keep_images="review"))
    with Log(path, settings.name) as log:
        for number, inspection in enumerate(inspections):
            frame = Frame(settings.name, "line", inspection.frame_id, inspection.captured_at, 0, picture(number))
            kept = with_pictures and store.wants(inspection, frame)
            log.append(replace(inspection, image_path=store.keep(inspection, frame)) if kept else inspection)
    return path


def some(settings: StationSettings, count: int = 12) -> list[Inspection]:
    """Return inspections of the last minutes: every third fails, every fourth is in doubt, none equally much."""
    kinds: list[Disposition] = ["review" if n % 4 == 0 else "fail" if n % 3 == 0 else "pass" for n in range(1, count + 1)]
    begin = now() - timedelta(seconds=count)
    return [judged(settings.name, n, kind, begin + timedelta(seconds=n), share=0.45 + 0.5 * n / count) for n, kind in enumerate(kinds, 1)]


def write_report(path: Path, report: Report) -> None:
    """Store a report as an import would, without a vector."""
    database = open_database(path)
    row = (report.report_id, to_text(report.written_at), report.product, report.station, report.lot, report.label, report.text)
    database.conn.execute(
        "INSERT INTO reports (report_id, written_at, product, station, lot, label, text, imported_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (*row, to_text(now())),
    )
    database.close()


def save(path: Path, number: int) -> None:
    """Write a picture file."""
    cv2.imwrite(str(path), picture(number))
