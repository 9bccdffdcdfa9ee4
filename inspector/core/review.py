"""A review: what a person decided about a part after the verdict. It stands beside the verdict, never in its place."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from inspector.core.label import LabelSet
from inspector.core.report import Report


@dataclass(frozen=True, slots=True)
class Review:
    """One person's judgement of one inspection."""

    review_id: str
    """UUID, given when it was signed: a review that arrives twice is one."""
    station: str
    """Name of the station."""
    inspection_id: str
    """What was looked at."""
    reviewer: str
    """Who signed it, as logged in."""
    reviewed_at: datetime
    """When, UTC."""
    label: str | None
    """True label; None: it cannot be told from what is there."""
    note: str = ""
    """A sentence, any language; may be empty."""
    box_px: tuple[int, int, int, int] | None = None
    """(x, y, width, height) of the defect in pixels of the frame; None: not drawn."""

    def disposition(self, labels: LabelSet) -> Literal["pass", "fail"]:
        """Return what becomes of the part: without the good label it does not pass."""
        return "pass" if self.label is not None and self.label == labels.good else "fail"

    def to_report(self, product: str, lot: str | None, labels: LabelSet) -> Report:
        """Return the historical report that the next parts of the lot see."""
        if self.label is None:
            told = "could not be told at review"
        elif self.label == labels.good:
            told = "no defect found at review"
        else:
            told = f"{labels.spoken(self.label)} found at review"
        return Report(f"review-{self.review_id}", self.reviewed_at, product, self.note or told, self.station, lot, self.label)
