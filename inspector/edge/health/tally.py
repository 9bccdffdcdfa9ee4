"""The tally of a run: what was judged, how fast, and the state that is told. The frame loop writes it, any thread may read it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from inspector.core.histogram import Histogram, Spread
from inspector.core.inspection import Disposition, Inspection
from inspector.core.latency import Latencies
from inspector.edge.instants import now
from inspector.edge.payload import State


@dataclass(slots=True)
class Tally:
    """What a run has done."""

    began_at: datetime = field(default_factory=now)
    """When the run began, UTC."""
    to_row: Latencies = field(default_factory=Latencies)
    """From capture to the committed row, the most recent ones."""
    verdicts: Counter[Disposition] = field(default_factory=lambda: Counter({"pass": 0, "fail": 0, "review": 0}))
    """Inspections written to the log, by disposition."""
    last_verdict_at: datetime | None = None
    """When the newest of them was judged, UTC."""
    frame_age: Histogram = field(default_factory=Histogram)
    """From capture to verdict, seconds."""
    stages: dict[str, Histogram] = field(default_factory=dict)
    """Time by stage, seconds; ``capture_to_row`` is the whole way. Verdicts after a fault count in the latter alone."""
    told: tuple[State, str] = ("starting", "")
    """The state that is told, and why."""
    is_losing_pictures: bool = False
    """True while pictures cannot be kept."""

    @property
    def logged(self) -> int:
        """Inspections written to the log."""
        return sum(self.verdicts.values())

    def add(self, inspection: Inspection, to_row_ms: float) -> None:
        """Count an inspection that is in the log, so many milliseconds after its capture."""
        self.verdicts[inspection.verdict.disposition] += 1
        self.last_verdict_at = inspection.inspected_at
        self.to_row.add(to_row_ms)
        self.frame_age.add(inspection.frame_age_ms / 1e3)
        timings_ms = {} if inspection.verdict.fault else inspection.timings_ms
        for stage, span_ms in {**timings_ms, "capture_to_row": to_row_ms}.items():
            self.stages.setdefault(stage, Histogram()).add(span_ms / 1e3)

    def spreads(self) -> dict[str, Spread]:
        """Return the times by stage."""
        return {stage: histogram.read() for stage, histogram in self.stages.copy().items()}

    def to_dict(self, dropped: Mapping[str, int]) -> dict[str, object]:
        """Return the numbers of the closing event."""
        return {"logged": self.logged, "dropped": sum(dropped.values()), "capture_to_row": self.to_row.summary()}
