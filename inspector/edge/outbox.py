"""The outbox: messages that wait for the broker's acknowledgement. A row leaves it when it is acknowledged, never before."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlite_utils import Database

from inspector.edge.instants import from_text, now, to_text
from inspector.edge.schema import transaction


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message."""

    topic: str
    """Topic it is published on."""
    payload: bytes
    """What is sent, at most 268,435,455 bytes."""
    content_type: str = "application/json"
    """MIME type of the payload; MQTT 5 only."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """User properties (CloudEvents attributes); MQTT 5 only."""
    retain: bool = False
    """True if the broker keeps it for later subscribers. Never set for messages in the outbox."""
    correlation: bytes | None = None
    """What tells the asker which question this answers; MQTT 5 only. Never set for messages in the outbox."""
    response_topic: str | None = None
    """Where the answer is wanted; MQTT 5 only. Never set for messages in the outbox."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits, in short."""

    count: int
    """Messages that wait."""
    oldest_at: datetime | None
    """Since when the oldest one has waited, UTC; None without any."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message that waits."""

    row_id: int
    """Place in the queue; rises, never given twice."""
    message: Message
    """What is to be sent."""


class Outbox:
    """The outbox of one database, seen from the thread that opened it. SQLite errors pass through."""

    def __init__(self, database: Database) -> None:
        """Look at the outbox of an open log."""
        self._database = database

    def put(self, message: Message, inspection_id: str | None = None) -> int:
        """Add a message and return its row id; call it inside the transaction that records what the message tells."""
        properties = json.dumps(dict(message.properties), ensure_ascii=False)
        row = (inspection_id, to_text(now()), message.topic, message.payload, message.content_type, properties)
        names = "inspection_id, queued_at, topic, payload, content_type, properties"
        cursor = self._database.conn.execute(f"INSERT INTO outbox ({names}) VALUES (?, ?, ?, ?, ?, ?)", row)  # noqa: S608 - fixed names
        return int(cursor.lastrowid or 0)

    def pending(
        self, limit: int, *, skip_rows: Collection[int] = (), skip_topics: Collection[str] = (), topic: str | None = None
    ) -> list[OutboxRow]:
        """Return at most ``limit`` waiting rows, oldest first, without some rows and topics, or of one topic alone."""
        query = (
            "SELECT row_id, topic, payload, content_type, properties FROM outbox WHERE row_id NOT IN (SELECT value FROM json_each(:rows))"
            " AND topic NOT IN (SELECT value FROM json_each(:topics)) AND (:topic IS NULL OR topic = :topic) ORDER BY row_id LIMIT :limit"
        )
        parameters = {"rows": json.dumps(list(skip_rows)), "topics": json.dumps(list(skip_topics)), "topic": topic, "limit": limit}
        found = self._database.conn.execute(query, parameters)
        return [OutboxRow(row[0], Message(row[1], row[2], row[3], json.loads(row[4]))) for row in found]

    def close(self, row_ids: Collection[int]) -> None:
        """Remove acknowledged rows and note in the log when their inspections were published, all in one transaction."""
        if not row_ids:
            return
        rows = json.dumps(list(row_ids))
        published = (
            "UPDATE inspections SET published_at = ? WHERE inspection_id IN"
            " (SELECT inspection_id FROM outbox WHERE row_id IN (SELECT value FROM json_each(?)))"
        )
        with transaction(self._database):
            self._database.conn.execute(published, (to_text(now()), rows))
            self._database.conn.execute("DELETE FROM outbox WHERE row_id IN (SELECT value FROM json_each(?))", (rows,))

    def depth(self) -> int:
        """Return how many messages wait."""
        return int(self._database.conn.execute("SELECT count(*) FROM outbox").fetchone()[0])

    def waiting(self) -> Waiting:
        """Return how many messages wait, and since when."""
        oldest = self._database.conn.execute("SELECT queued_at FROM outbox ORDER BY row_id LIMIT 1").fetchone()
        return Waiting(self.depth(), None if oldest is None else from_text(oldest[0]))
