"""The station as a Sparkplug B 3.0 edge node: births, data and deaths. One connection is one life, with its own ``bdSeq``.

Births and data go with QoS 0 and are not kept; the death is the connection's will. A host that comes later asks for a rebirth (NCMD).
"""

import time
from datetime import UTC, datetime

from inspector import __version__
from inspector.core.inspection import Inspection
from inspector.edge.extras.sparkplug import REBIRTH, Value, encode
from inspector.edge.outbox import Message
from inspector.edge.topics import Topics
from inspector.settings import ExtrasSection

_TYPE = "application/x-protobuf"
_REBIRTH_EVERY_S = 5.0
"""A host that asks more often is not answered."""
_RESULT: dict[str, type] = {
    "Result/Inspection Id": str,
    "Result/Seq": int,
    "Result/Evaluation": str,
    "Result/Disposition": str,
    "Result/Label": str,
    "Result/Confidence": float,
    "Result/Reason": str,
    "Result/Product": str,
    "Result/Lot": str,
    "Result/Part": str,
    "Result/Camera": str,
    "Result/Frame Age ms": float,
    "Result/Simulated": bool,
}


class SparkplugNode:
    """Makes the messages of one station; the numbers in them count on from message to message."""

    def __init__(self, topics: Topics, rules: ExtrasSection) -> None:
        """Take the node's place: group and node are levels of its topics."""
        self.group = rules.sparkplug_group or f"{topics.site}-{topics.area}"
        self.node = f"{topics.line}-{topics.station}"
        # The numbers of two runs should differ: a late death of the former must not end the life of the new one.
        self._life = int(time.time()) % 256
        self._seq = 0
        self._newest: dict[str, tuple[type, Value]] = {name: (kind, None) for name, kind in _RESULT.items()}
        self._born_s = float("-inf")

    def topic(self, kind: str) -> str:
        """Return a topic of the node: NBIRTH, NDATA, NDEATH or NCMD."""
        return f"spBv1.0/{self.group}/{kind}/{self.node}"

    def death(self) -> Message:
        """Begin a new life; return its will."""
        self._life = (self._life + 1) % 256
        return self.obituary()

    def obituary(self) -> Message:
        """Return the death of the present life: goes before a clean disconnect, which would suppress the will."""
        return Message(self.topic("NDEATH"), encode({"bdSeq": (int, self._life)}, _milliseconds(datetime.now(UTC))), _TYPE)

    def birth(self, now_s: float) -> Message:
        """Return the birth: every metric with its newest value."""
        self._seq, self._born_s = 0, now_s
        metrics: dict[str, tuple[type, Value]] = {
            "bdSeq": (int, self._life),
            REBIRTH: (bool, False),
            "Node Info/Station": (str, self.node),
            "Node Info/Version": (str, __version__),
        }
        return Message(self.topic("NBIRTH"), encode({**metrics, **self._newest}, _milliseconds(datetime.now(UTC)), 0), _TYPE)

    def rebirth(self, now_s: float) -> Message | None:
        """Return another birth for a host that asks for it, unless one has just gone out."""
        return self.birth(now_s) if now_s - self._born_s >= _REBIRTH_EVERY_S else None

    def data(self, inspection: Inspection) -> Message:
        """Return the metrics of a logged inspection."""
        values: tuple[Value, ...] = (
            inspection.inspection_id, inspection.seq, inspection.verdict.evaluation, inspection.verdict.disposition, inspection.label,
            inspection.confidence, inspection.verdict.reason, inspection.product, inspection.lot, inspection.part_id, inspection.camera,
            round(inspection.frame_age_ms, 3), inspection.is_simulated,
        )  # fmt: skip
        self._newest = {name: (kind, value) for (name, kind), value in zip(_RESULT.items(), values, strict=True)}
        self._seq = (self._seq + 1) % 256
        return Message(self.topic("NDATA"), encode(self._newest, _milliseconds(inspection.captured_at), self._seq), _TYPE)


def _milliseconds(instant: datetime) -> int:
    """Return an instant as milliseconds since the Unix epoch."""
    return round(instant.timestamp() * 1000)
