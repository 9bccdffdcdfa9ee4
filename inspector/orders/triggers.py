"""Triggers that wait: each belongs to the first frame that its camera takes after the command."""

from collections import deque
from dataclasses import dataclass, field, replace

from inspector.core.frame import Frame
from inspector.edge.commands.doorman import Request
from inspector.edge.commands.payload import TriggerCommand

_KEPT = 16
"""Triggers that may wait for one camera."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One trigger."""

    request: Request
    """Who asked."""
    command: TriggerCommand
    """What was said of the part."""
    deadline_ns: int
    """When nobody waits any more, ``time.monotonic_ns()``."""


@dataclass(slots=True)
class Triggers:
    """Pending triggers, by camera. Pure: the clock comes from outside."""

    waiting: dict[str, deque[Waiting]] = field(default_factory=dict)
    """Those without a frame, oldest first."""
    judged: dict[tuple[str, str, int], Request] = field(default_factory=dict)
    """Those whose frame is on its way through the model, by camera, frame and instant."""

    def add(self, camera: str, waiting: Waiting) -> bool:
        """Let a trigger wait for its frame; return False if too many wait."""
        lane = self.waiting.setdefault(camera, deque())
        if len(lane) >= _KEPT:
            return False
        lane.append(waiting)
        return True

    def matched(self, frame: Frame) -> Frame:
        """Return a frame with what its trigger said of the part, if it is one's frame; a frame from before the command is none's."""
        lane = self.waiting.get(frame.camera)
        if not lane or frame.grabbed_ns < lane[0].request.arrived_ns:
            return frame
        found = lane.popleft()
        self.judged[_key(frame)] = found.request
        return replace(frame, part_id=found.command.part_id or frame.part_id, lot=found.command.lot or frame.lot)

    def answered(self, frame: Frame) -> Request | None:
        """Return the trigger of a frame that has been logged, once."""
        return self.judged.pop(_key(frame), None)

    def overdue(self, now_ns: int) -> list[tuple[str, Request]]:
        """Remove and return (camera, trigger) of those for which no frame came."""
        late = []
        for camera, lane in self.waiting.items():
            while lane and lane[0].deadline_ns <= now_ns:
                late.append((camera, lane.popleft().request))
        return late


def _key(frame: Frame) -> tuple[str, str, int]:
    return frame.camera, frame.frame_id, frame.grabbed_ns
