"""Likely causes: what past reports say about such a defect, in their writers' words. Nothing is made up, and good parts have none."""

from collections.abc import Sequence
from typing import NamedTuple

from inspector.assist.history import History, Similar
from inspector.core.label import LabelSet
from inspector.core.report import Report
from inspector.edge.assistance import LikelyCause, PastReport
from inspector.errors import InspectorError

_SHOWN = 3
"""Reports that an answer shows."""
_NEAR = 0.5
"""Cosine similarity from which a report without a label of its own counts as speaking of the same defect."""


class Found(NamedTuple):
    """A report that speaks of the same."""

    report: Report
    """The report."""
    similarity: float | None
    """Cosine similarity to what was asked for; None if it was not measured."""


def fitting(
    history: History, similar: Similar, product: str, labels: LabelSet, label: str, lot: str | None
) -> tuple[list[Found], list[str]]:
    """Return the reports that speak of a label, nearest first, those of the lot before all others; and notes.

    A report counts if its writer gave that label, or gave none and its words are near. Without the encoder labels alone count.
    """
    notes = []
    try:
        measured = [
            Found(report, likeness) for report, likeness in similar(f"{labels.spoken(label)}, lot {lot}" if lot else labels.spoken(label))
        ]
    except InspectorError as error:
        measured = []
        notes.append(f"reports were found by their label alone: {error}")
    near = [found for found in measured if found.report.product == product and _speaks_of(found, label)]
    have = {found.report.report_id for found in near}
    labelled = [Found(report, None) for report in history.reports_of(product, label) if report.report_id not in have]
    ranked = sorted([*near, *labelled], key=lambda found: (lot is None or found.report.lot != lot, -(found.similarity or 0.0)))
    return ranked[:_SHOWN], notes


def likely_cause(found: Sequence[Found]) -> LikelyCause | None:
    """Return what the nearest report says, with the ids of all that agree; None if none was found."""
    if not found:
        return None
    return LikelyCause(text=found[0].report.text, report_ids=[one.report.report_id for one in found])


def shown(found: Sequence[Found]) -> list[PastReport]:
    """Return reports as they stand in an answer."""
    return [
        PastReport(
            report_id=report.report_id,
            written_at=report.written_at,
            lot=report.lot,
            label=report.label,
            text=report.text,
            similarity=None if similarity is None else round(max(-1.0, min(1.0, similarity)), 4),
        )
        for report, similarity in found
    ]


def _speaks_of(found: Found, label: str) -> bool:
    written = found.report.label
    return written == label or (written is None and (found.similarity or 0.0) >= _NEAR)
