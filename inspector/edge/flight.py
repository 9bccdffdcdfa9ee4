"""What is under way to the broker, and what the broker refuses. Pure bookkeeping: the clock comes from outside."""

from dataclasses import dataclass, field

from inspector.edge.outbox import OutboxRow


@dataclass(slots=True)
class Flight:
    """Messages that are sent and not yet answered."""

    window: int
    """Most outbox rows under way at a time."""
    ack_timeout_s: float
    """Silence after which the connection counts as dead, seconds."""
    rows: dict[int, OutboxRow] = field(default_factory=dict)
    """Outbox rows under way by message id."""
    sent_at: dict[int, float] = field(default_factory=dict)
    """When each unanswered message was sent, seconds of the monotonic clock, by message id; those beside the outbox too."""

    @property
    def room(self) -> int:
        """How many more rows may be sent."""
        return self.window - len(self.rows)

    def sent(self, mid: int, now_s: float, row: OutboxRow | None = None) -> None:
        """Note a sent message; ``row`` is None if it is not from the outbox."""
        self.sent_at[mid] = now_s
        if row is not None:
            self.rows[mid] = row

    def answered(self, mid: int) -> OutboxRow | None:
        """Note an answer; return the row it is about, or None if it is not from the outbox."""
        self.sent_at.pop(mid, None)
        return self.rows.pop(mid, None)

    def is_overdue(self, now_s: float) -> bool:
        """Return True if the oldest message has waited too long for its answer."""
        return bool(self.sent_at) and now_s - min(self.sent_at.values()) > self.ack_timeout_s


@dataclass(slots=True)
class Refusals:
    """Topics on which the broker refuses messages. Their rows stay; one message at a time tries again, later and later."""

    first_s: float = 1.0
    """Wait before the first new try, seconds."""
    longest_s: float = 60.0
    """Longest wait between tries, seconds."""
    waits: dict[str, tuple[float, float]] = field(default_factory=dict)
    """(instant of the next try, wait before it), seconds of the monotonic clock, by topic."""

    def refused(self, topic: str, now_s: float) -> bool:
        """Note a refusal; return True if it is the first one on this topic."""
        begins = topic not in self.waits
        due, wait = self.waits.get(topic, (now_s, 0.0))
        if due <= now_s:  # the answers to one window count as one refusal
            wait = min(wait * 2, self.longest_s) if wait else self.first_s
            self.waits[topic] = (now_s + wait, wait)
        return begins

    def accepted(self, topic: str) -> bool:
        """Note an acceptance; return True if the topic had been refused."""
        return self.waits.pop(topic, None) is not None

    @property
    def topics(self) -> frozenset[str]:
        """The topics that are refused."""
        return frozenset(self.waits)

    def due(self, now_s: float) -> list[str]:
        """Return the topics on which one message may try again."""
        return [topic for topic, (due, _) in self.waits.items() if due <= now_s]
