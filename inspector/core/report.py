"""A historical QC report: what somebody wrote about an earlier inspection."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Report:
    """One QC report."""

    report_id: str
    """Identifies the report within the station."""
    written_at: datetime
    """When it was written, UTC."""
    product: str
    """Product that it speaks of."""
    text: str
    """What was written, any language."""
    station: str | None = None
    """Station it was written at, or None if it holds for every station."""
    lot: str | None = None
    """Lot, position or batch it speaks of, or None if it holds for the whole product."""
    label: str | None = None
    """Label the writer gave, where the source has one. The model never sees this field."""
