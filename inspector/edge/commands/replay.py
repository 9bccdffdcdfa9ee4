"""Replay: logged results are published again, in order, in small batches, and only while no fresh result waits.

A batch is over when the broker has acknowledged each of its messages; a broken connection sends it again. The messages equal the first
ones, ``inspection_id`` included, and bear the user property ``replayed=true``: a subscriber that drops ids it has seen needs nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from inspector.core.inspection import Inspection
from inspector.edge.commands.doorman import Request
from inspector.edge.log import Holdings, Log
from inspector.edge.outbox import Message
from inspector.edge.sqlite_errors import as_log_error

_STUCK_S = 10.0
"""An outbox that does not move for so long holds rows that the broker does not take; they hold up no replay."""


@dataclass(frozen=True, slots=True)
class Span:
    """What a replay will publish, told before it begins."""

    from_seq: int
    """First number asked for."""
    to_seq: int
    """Last number asked for, or the newest."""
    holdings: Holdings
    """What the log has of it."""

    @classmethod
    def of(cls, log: Log, from_seq: int, to_seq: int | None) -> "Span":
        """Look up a range."""
        newest = log.last_seq()
        last = newest if to_seq is None else to_seq
        return cls(from_seq, last, log.holdings(from_seq, last) if last >= from_seq else Holdings(0, 0, ()))

    def to_dict(self) -> dict[str, object]:
        """Return the fields of the answer."""
        return {
            "from_seq": self.from_seq,
            "to_seq": self.to_seq,
            "count": self.holdings.count,
            "waiting": self.holdings.waiting,
            "missing": [list(gap) for gap in self.holdings.missing],
        }


@dataclass(slots=True)
class FreshFirst:
    """Decides whether a replay may go on: not while the outbox is being emptied. Pure: the clock comes from outside."""

    oldest_row: int | None = None
    """The outbox's oldest row at the last look."""
    since_s: float = 0.0
    """Since when it has been the oldest, seconds of the monotonic clock."""

    def may_go(self, oldest_row: int | None, now_s: float) -> bool:
        """Return True if nothing fresh waits, or if what waits does not move."""
        if oldest_row != self.oldest_row:
            self.oldest_row, self.since_s = oldest_row, now_s
        return oldest_row is None or now_s - self.since_s > _STUCK_S


@dataclass(slots=True)
class Replay:
    """One range on its way."""

    request: Request
    """Who asked for it."""
    span: Span
    """What was asked for."""
    message: Callable[[Inspection], Message]
    """Makes the message about an inspection, as it was made the first time."""
    batch: int = 20
    """Messages under way at most."""
    sent: int = 0
    """Messages of whole batches that the broker has acknowledged."""
    next_seq: int = 0
    """Where the next batch begins."""
    under_way: set[int] = field(default_factory=set)
    """Message ids that wait for their acknowledgement."""
    numbers: tuple[int, ...] = ()
    """The numbers in the batch."""
    refusal: str | None = None
    """Why the broker does not take them."""
    is_over: bool = False
    """True when all is published, or refused."""

    def __post_init__(self) -> None:
        """Begin at the begin."""
        self.next_seq = self.span.from_seq

    def step(self, log: Log, send: Callable[[Message], int]) -> None:
        """Send the next batch, once the one before is acknowledged. Raises ``LogError`` and what ``send`` raises."""
        if self.under_way or self.is_over:
            return
        rows = log.between(self.next_seq, self.span.to_seq, self.batch)
        self.numbers, self.is_over = tuple(row.seq or 0 for row in rows), not rows
        for row in rows:
            self.under_way.add(send(as_replayed(self.message(row))))

    def answered(self, mid: int, refusal: str | None) -> None:
        """Note the broker's answer to a message, if it is one of ours."""
        if mid not in self.under_way:
            return
        self.under_way.remove(mid)
        if refusal is not None:
            self.refusal, self.is_over = refusal, True
        elif not self.under_way and not self.is_over:
            self.sent, self.next_seq = self.sent + len(self.numbers), self.numbers[-1] + 1

    def begin_again(self) -> None:
        """Forget what was under way on a connection that is lost: the batch is sent again."""
        self.under_way.clear()


def as_replayed(message: Message) -> Message:
    """Return a message that says that it has been published before."""
    return replace(message, properties={**message.properties, "replayed": "true"})


def oldest_waiting(log: Log) -> int | None:
    """Return the row of the outbox that waits longest, None if it is empty. Raises ``LogError``."""
    with as_log_error(log.path, "read the outbox"):
        rows = log.outbox.pending(1)
    return rows[0].row_id if rows else None
