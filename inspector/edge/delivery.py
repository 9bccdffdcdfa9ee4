"""Carries the outbox over one connection: oldest first, a window under way, a row closed by its own acknowledgement alone.

What the broker refuses is told: in the log's ``events`` and, where that topic is not itself refused, on the topic ``event``.
"""

from dataclasses import dataclass, field

from inspector.edge.connection import Connection
from inspector.edge.flight import Flight, Refusals
from inspector.edge.log import Event, Log
from inspector.edge.messages import event_message
from inspector.edge.outbox import Message, OutboxRow
from inspector.edge.sqlite_errors import as_log_error
from inspector.edge.topics import Topics
from inspector.errors import PublishError


@dataclass(slots=True)
class Memory:
    """What outlives a connection."""

    refusals: Refusals = field(default_factory=Refusals)
    """Topics on which the broker refuses messages."""
    acknowledged: set[int] = field(default_factory=set)
    """Outbox rows that the broker has and the log could not yet close; never sent again."""
    faulty: set[int] = field(default_factory=set)
    """Outbox rows that the broker refused for what they are; tried again at the next connection."""
    unheard: set[str] = field(default_factory=set)
    """Topics beside the outbox (status, info) whose last message was refused."""


class Delivery:
    """The work on one connection. Raises ``PublishError`` when the connection is of no more use, ``LogError`` when the log is."""

    def __init__(self, connection: Connection, log: Log, flight: Flight, memory: Memory, topics: Topics) -> None:
        """Begin on an accepted connection."""
        self._topics = topics
        self._beside: dict[int, str] = {}
        self._connection = connection
        self._log = log
        self._flight = flight
        self._memory = memory
        # Two places stay free for status and info; a broker may allow fewer messages than the settings.
        flight.window = max(1, min(flight.window, connection.receive_maximum - 2))
        memory.faulty.clear()

    def send(self, message: Message, now_s: float) -> int:
        """Send a message that is not from the outbox; return its message id."""
        mid = self._connection.send(message)
        self._flight.sent(mid, now_s)
        self._beside[mid] = message.topic
        return mid

    def is_answered(self, mid: int) -> bool:
        """Return True if the broker has answered a message."""
        return mid not in self._flight.sent_at

    def send_due(self, now_s: float) -> None:
        """Send what the window has room for; on a refused topic its oldest message alone, when its time has come."""
        memory, flight = self._memory, self._flight
        under_way = {row.row_id for row in flight.rows.values()}
        skip = under_way | memory.acknowledged | memory.faulty
        with as_log_error(self._log.path, "read the outbox"):
            rows = self._log.outbox.pending(flight.room, skip_rows=skip, skip_topics=memory.refusals.topics) if flight.room else []
            busy = {row.message.topic for row in flight.rows.values()}
            for topic in memory.refusals.due(now_s):
                rows += [] if topic in busy else self._log.outbox.pending(1, skip_rows=skip, topic=topic)
        for row in rows:
            if self._fits(row):
                flight.sent(self._connection.send(row.message), now_s, row)

    def take_answers(self, now_s: float) -> int:
        """Close what was acknowledged, keep what was refused; return the number of closed rows."""
        while self._connection.answers:
            mid, refusal = self._connection.answers.popleft()
            row = self._flight.answered(mid)
            if row is not None and refusal is None:
                self._accepted(row)
            elif row is not None:
                self._refused(row, str(refusal), now_s)
            elif (topic := self._beside.pop(mid, None)) is not None:
                self._answered_beside(topic, refusal)
        if self._flight.is_overdue(now_s):
            raise PublishError(
                f"no acknowledgement within mqtt.ack_timeout_s = {self._flight.ack_timeout_s:g} s: the network or the broker is silent"
            )
        return self._close()

    def _close(self) -> int:
        """Close the acknowledged rows."""
        closing = frozenset(self._memory.acknowledged)
        if closing:
            with as_log_error(self._log.path, "close published messages"):
                self._log.outbox.close(closing)
            self._memory.acknowledged -= closing
        return len(closing)

    def _accepted(self, row: OutboxRow) -> None:
        self._memory.acknowledged.add(row.row_id)
        if self._memory.refusals.accepted(row.message.topic):
            self._tell("publish-accepted", row.message.topic, "the broker takes messages again")

    def _answered_beside(self, topic: str, refusal: str | None) -> None:
        """Tell when the broker begins to refuse a topic beside the outbox, and when it takes it again; nothing of it is kept."""
        if refusal is None and topic in self._memory.unheard:
            self._memory.unheard.remove(topic)
            self._tell("publish-accepted", topic, "the broker takes messages again")
        elif refusal is not None and topic not in self._memory.unheard:
            self._memory.unheard.add(topic)
            self._tell("publish-refused", topic, f"{refusal}; check the broker's access list")

    def _refused(self, row: OutboxRow, reason: str, now_s: float) -> None:
        """Keep a refused row: hold back its topic if the broker objects to the topic or to us, else the row alone."""
        topic = row.message.topic
        if reason in {"Not authorized", "Quota exceeded", "Topic name invalid"}:
            if self._memory.refusals.refused(topic, now_s):
                self._tell("publish-refused", topic, f"{reason}; messages wait in the outbox; check the broker's access list")
        else:
            self._memory.faulty.add(row.row_id)
            self._tell("publish-refused", topic, f"{reason}; outbox row {row.row_id} waits for the next connection")

    def _fits(self, row: OutboxRow) -> bool:
        """Hold back a row that is longer than the broker takes: sending it would end the connection, again and again."""
        head = 512 + sum(len(key) + len(value) for key, value in row.message.properties.items())
        if len(row.message.payload) + head <= self._connection.max_packet_bytes:
            return True
        limit = self._connection.max_packet_bytes
        self._memory.faulty.add(row.row_id)
        self._tell("publish-refused", row.message.topic, f"outbox row {row.row_id} is longer than the broker takes ({limit} bytes)")
        return False

    def _tell(self, kind: str, topic: str, detail: str) -> None:
        """Log an alarm about a topic and queue its message; an alarm about the alarms' own topic would only wait behind itself."""

        def message(event: Event) -> Message:
            return event_message(event, self._topics)

        self._log.event(kind, f"{topic}: {detail}", None if topic == self._topics.event else message)
