"""The desk: where commands come in and answers go out, in the link's thread.

Replay and snapshot are done here, because they only read; all others wait, in a bounded queue, until the frame loop takes them. Every
command that was let in is answered and told to the log.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from inspector.core.inspection import Inspection
from inspector.edge.commands.doorman import Asker, Doorman, Refusal, Request
from inspector.edge.commands.payload import Outcome, ReplayCommand, ReplyPayload, SnapshotCommand
from inspector.edge.commands.replay import FreshFirst, Replay, Span, oldest_waiting
from inspector.edge.commands.snapshot import take_snapshot
from inspector.edge.incoming import Incoming
from inspector.edge.instants import now
from inspector.edge.log import Log
from inspector.edge.newest import Newest
from inspector.edge.outbox import Message
from inspector.edge.topics import Topics
from inspector.errors import LogError
from inspector.settings import CommandsSection

_WAITING = 32
"""Commands that may wait for the frame loop."""
_REPLAYS = 4
"""Replays that may wait for one another."""
_ANSWERS = 256
"""Answers that may wait for the broker; the oldest give way, their askers have long gone."""


class Desk:
    """Commands of one station. ``answer`` may be called from any thread, all else belongs to the link's."""

    def __init__(
        self,
        rules: CommandsSection,
        topics: Topics,
        newest: Newest,
        folder: Path,
        *,
        message: Callable[[Inspection], Message],
        tell: Callable[[str, str], None],
        nudge: Callable[[], None],
        image_max_bytes: int,
    ) -> None:
        """Open the desk.

        ``message`` makes the message about an inspection, ``tell`` takes kind and detail of an event, ``nudge`` hears that a command waits
        for the frame loop.
        """
        self.requests: SimpleQueue[Request] = SimpleQueue()
        """Commands for the frame loop."""
        self.outgoing: deque[tuple[Message, int]] = deque(maxlen=_ANSWERS)
        """(message, QoS) to be sent, oldest first."""
        self._topics, self._newest, self._folder = topics, newest, folder
        self._message, self._tell, self._nudge, self._image_max_bytes = message, tell, nudge, image_max_bytes
        self._doorman = Doorman(topics, rules)
        self._unanswered: dict[int, Message] = {}
        self._replays: deque[Replay] = deque()
        self._fresh = FreshFirst()

    def take_in(self, message: Incoming, log: Log) -> None:
        """Let a message in, or answer why not."""
        found = self._doorman.look(message, time.monotonic_ns())
        if isinstance(found, Refusal):
            self.answer(found.asker, "refused", found.reason, found.mistakes)
        elif found is None:
            return
        elif isinstance(found.command, ReplayCommand):
            self._begin_replay(found, found.command, log)
        elif isinstance(found.command, SnapshotCommand):
            self._snapshot(found, found.command)
        elif self.requests.qsize() >= _WAITING:
            self.answer(found.asker, "refused", "the station is busy with other commands; try again")
        else:
            self.requests.put(found)
            self._nudge()

    def answer(
        self, asker: Asker, outcome: Outcome, reason: str = "", mistakes: Sequence[str] = (), result: Mapping[str, Any] | None = None
    ) -> None:
        """Answer a command and have it logged; ``result`` must be fit for JSON."""
        told = dict(result or {})
        payload = ReplyPayload(
            station=self._topics.station,
            verb=asker.verb,
            outcome=outcome,
            reason=reason,
            mistakes=list(mistakes),
            result=told,
            replied_at=now(),
        )
        self.outgoing.append((Message(asker.reply_topic, payload.to_json(), correlation=asker.correlation), 1))
        details = ", ".join(f"{key} {value}" for key, value in told.items() if value not in (None, [], {}))
        self._tell("command", ": ".join(filter(None, (f"{asker.verb} from {asker.who}", outcome, reason, details[:300]))))

    def step(self, log: Log, send: Callable[[Message], int], room: int) -> None:
        """Go on with a replay if nothing fresh waits, and with what else has come due. Raises ``LogError`` and what ``send`` raises."""
        now_s = time.monotonic()
        for sentence in self._doorman.calmed(now_s):
            self._tell("commands-calm", sentence)
        if not self._replays:
            return
        replay = self._replays[0]
        replay.batch = max(1, min(replay.batch, room))
        if self._fresh.may_go(oldest_waiting(log), now_s):
            replay.step(log, send)
        if replay.is_over:
            self._end_replay(replay)

    def send_answers(self, send: Callable[[Message, int], int], room: int) -> None:
        """Send what waits, at most so many; answers are kept until the broker has them. Raises what ``send`` raises."""
        for _ in range(min(room, len(self.outgoing))):
            message, qos = self.outgoing.popleft()
            mid = send(message, qos)
            if qos:
                self._unanswered[mid] = message

    def acknowledged(self, mid: int, refusal: str | None) -> None:
        """Note the broker's answer to a message."""
        self._unanswered.pop(mid, None)
        if self._replays:
            self._replays[0].answered(mid, refusal)

    def begin_again(self) -> None:
        """Begin on a new connection: what the old one may not have carried is sent again."""
        self.outgoing.extendleft((message, 1) for message in reversed(self._unanswered.values()))
        self._unanswered.clear()
        if self._replays:
            self._replays[0].begin_again()

    @property
    def is_replaying(self) -> bool:
        """True while a replay waits for its turn."""
        return bool(self._replays) and not self._replays[0].under_way

    def _begin_replay(self, request: Request, command: ReplayCommand, log: Log) -> None:
        if len(self._replays) >= _REPLAYS:
            self.answer(request.asker, "refused", f"{_REPLAYS} replays wait already; try again when one is done")
            return
        try:
            span = Span.of(log, command.from_seq, command.to_seq)
        except LogError as error:
            self.answer(request.asker, "failed", str(error))
            return
        if span.holdings.count == 0:
            self.answer(
                request.asker,
                "done",
                "the log holds nothing of it that could be published again",
                result={**span.to_dict(), "published": 0},
            )
            return
        self.answer(request.asker, "accepted", result=span.to_dict())
        self._replays.append(Replay(request, span, self._message))

    def _end_replay(self, replay: Replay) -> None:
        self._replays.popleft()
        outcome: Outcome = "done" if replay.refusal is None else "failed"
        reason = "" if replay.refusal is None else f"the broker refuses them: {replay.refusal}"
        self.answer(replay.request.asker, outcome, reason, result={**replay.span.to_dict(), "published": replay.sent})

    def _snapshot(self, request: Request, command: SnapshotCommand) -> None:
        shown = self._newest.get(command.camera)
        if shown is None:
            seen = ", ".join(self._newest.by_camera) or "none"
            self.answer(request.asker, "failed", f"no picture of camera {command.camera or ''} has been judged yet; judged were: {seen}")
            return
        snapshot = take_snapshot(shown, self._folder, self._image_max_bytes)
        if snapshot.jpeg is None:
            self.answer(request.asker, "failed", snapshot.fault)
            return
        inspection = shown.inspection
        topic = self._topics.image(inspection.inspection_id)
        self.outgoing.append((Message(topic, snapshot.jpeg, "image/jpeg"), 0))
        told = {
            "topic": topic,
            "path": snapshot.path,
            "inspection_id": inspection.inspection_id,
            "seq": inspection.seq,
            "camera": inspection.camera,
            "frame_id": inspection.frame_id,
        }
        self.answer(request.asker, "done", snapshot.fault, result=told)
