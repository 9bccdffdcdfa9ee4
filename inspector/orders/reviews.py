"""Reviews as the frame loop takes them in, between frames: from the slips of the dashboard to log, reports and MQTT."""

import os
import shutil
import time
from datetime import timedelta
from pathlib import Path

from inspector.core.label import LabelSet
from inspector.core.review import Review
from inspector.edge.instants import now
from inspector.edge.recorder import Recorder
from inspector.edge.reports import ReportStore
from inspector.edge.review_slips import read_slip, slip_folder, waiting
from inspector.edge.settling import Settled
from inspector.errors import LogError, ReportError
from inspector.pipeline import Pipeline

_PERIOD_S = 0.5
"""How often the loop looks for slips."""
_AT_ONCE = 2
"""Slips taken between two batches of frames: each costs some milliseconds for its report's vector."""
_AHEAD = timedelta(minutes=5)
"""A review that was signed so far in the future was signed by a wrong clock."""


class Reviews:
    """Takes slips in. Belongs to the frame loop's thread."""

    def __init__(self, recorder: Recorder) -> None:
        """Look beside the recorder's log."""
        self._recorder = recorder
        self._folder = slip_folder(recorder.log.path, recorder.settings.name)
        self._done: set[str] = set()
        self._due_s = 0.0

    def attend(self, pipeline: Pipeline) -> None:
        """Take in what has come. Raises ``LogError`` if the log cannot be written."""
        if time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + _PERIOD_S
        names = waiting(self._folder)
        self._done.intersection_update(names)
        for name in [name for name in names if name not in self._done][:_AT_ONCE]:
            self._done.add(name)
            self._take(name, pipeline)

    def _take(self, name: str, pipeline: Pipeline) -> None:
        log = self._recorder.log
        try:
            review = read_slip(self._folder / name)
        except LogError as error:
            self._recorder.note("review-refused", str(error))
            return
        if log.has_review(review.review_id):
            return
        inspection = log.get(review.inspection_id)
        product = None if inspection is None else pipeline.products.get(inspection.product)
        if inspection is None or product is None or (fault := _fault(review, log.station, product.labels)):
            gone = f"inspection {review.inspection_id} or its product is not there any more (log.keep_days)"
            why = gone if inspection is None or product is None else fault
            self._recorder.note("review-refused", f"review {review.review_id} of {review.reviewer}: {why}")
            return
        settled = Settled(review, inspection, product.labels, self._picture(inspection.image_path, review.inspection_id))
        if self._recorder.settle(settled) and isinstance(pipeline.reports, ReportStore):
            try:
                pipeline.reports.embed_new(settled.report)
            except ReportError as error:
                self._recorder.note("report-not-read", f"{settled.report.report_id}: {error}; the next start tries again")

    def _picture(self, image_path: str | None, inspection_id: str) -> str | None:
        """Keep the picture beyond its time, to learn from; return where. It costs no space while the first one lasts."""
        if image_path is None:
            return None
        home = self._recorder.log.path.parent
        kept = Path("reviewed") / self._recorder.settings.name / f"{inspection_id}.jpg"
        target, source = home / kept, home / image_path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                try:
                    os.link(source, target)
                except OSError:
                    shutil.copyfile(source, target)
        except OSError:
            return None  # its time was over, or the disk has no room: the review stands without it
        return str(kept)


def _fault(review: Review, station: str, labels: LabelSet) -> str:
    """Return why a review cannot be taken, empty if it can."""
    if review.station != station:
        return f"it speaks of station {review.station}"
    if review.label is not None and review.label not in labels.names:
        return f"label {review.label!r} is not one of {', '.join(labels.names)}"
    return "it was signed in the future; set the clock" if review.reviewed_at > now() + _AHEAD else ""
