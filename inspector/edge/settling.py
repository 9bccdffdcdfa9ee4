"""Settling: a review into the log, its report and its message with it, in one transaction; the verdict stays as it was."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from inspector.core.inspection import Inspection
from inspector.core.label import LabelSet
from inspector.core.report import Report
from inspector.core.review import Review
from inspector.edge.instants import now, to_text
from inspector.edge.outbox import Message, Outbox
from inspector.edge.schema import transaction


@dataclass(frozen=True, slots=True)
class Settled:
    """A review with what it speaks of."""

    review: Review
    """What was decided."""
    inspection: Inspection
    """The verdict, as it was logged."""
    labels: LabelSet
    """The product's labels."""
    picture_path: str | None
    """Where the picture to learn from lies, from the log's folder; None if there is none."""

    @property
    def report(self) -> Report:
        """The report that the next parts of the lot see."""
        return self.review.to_report(self.inspection.product, self.inspection.lot, self.labels)

    @property
    def agrees(self) -> bool:
        """True if the person found the label that the model found."""
        return self.review.label == self.inspection.label

    def to_row(self) -> dict[str, Any]:
        """Return the row of table ``reviewed``; it holds all that outlives the verdict."""
        review, judged = self.review, self.inspection
        box = dict(zip(("x_px", "y_px", "width_px", "height_px"), review.box_px or (None,) * 4, strict=True))
        return {
            "review_id": review.review_id,
            "station": review.station,
            "inspection_id": review.inspection_id,
            "seq": judged.seq,
            "camera": judged.camera,
            "product": judged.product,
            "lot": judged.lot,
            "part_id": judged.part_id,
            "captured_at": to_text(judged.captured_at),
            "model": judged.model,
            "judged_disposition": judged.verdict.disposition,
            "judged_label": judged.label,
            "judged_confidence": judged.confidence,
            "reviewer": review.reviewer,
            "reviewed_at": to_text(review.reviewed_at),
            "disposition": review.disposition(self.labels),
            "label": review.label,
            "note": review.note,
            **box,
            "report_id": self.report.report_id,
            "picture_path": self.picture_path,
        }


def is_settled(database: Database, review_id: str) -> bool:
    """Return whether a review is in the log already. SQLite errors pass through."""
    return database.conn.execute("SELECT 1 FROM reviewed WHERE review_id = ?", (review_id,)).fetchone() is not None


def settle(database: Database, settled: Settled, message: Callable[[Settled], Message] | None) -> bool:
    """Log a review unless it is logged; return whether it was new. SQLite errors pass through."""
    row, report = settled.to_row(), settled.report
    with transaction(database):
        if is_settled(database, settled.review.review_id):
            return False
        database.table("reviewed").insert(row)
        database.conn.execute(
            "INSERT INTO reviews (inspection_id, reviewed_at, reviewer, disposition, label, note) VALUES"
            " (:inspection_id, :reviewed_at, :reviewer, :disposition, :label, :note) ON CONFLICT (inspection_id) DO UPDATE SET"
            " reviewed_at = excluded.reviewed_at, reviewer = excluded.reviewer, disposition = excluded.disposition,"
            " label = excluded.label, note = excluded.note WHERE excluded.reviewed_at >= reviews.reviewed_at",
            row,
        )
        fields = {name: getattr(report, name) for name in ("report_id", "product", "text", "station", "lot", "label")}
        stored = fields | {
            "written_at": to_text(report.written_at),
            "imported_at": to_text(now()),
            "source": f"review by {row['reviewer']}",
        }
        database.table("reports").insert(stored)
        if message is not None:
            Outbox(database).put(message(settled))
        return True
