"""Instants as text: RFC 3339, UTC, closing ``Z``, fixed width, so that text order is time order."""

from datetime import UTC, datetime
from typing import Literal


def to_text(instant: datetime, digits: Literal["milliseconds", "microseconds"] = "microseconds") -> str:
    """Write an aware instant, such as ``2026-11-23T14:00:00.123456Z``. Raises ``ValueError`` if it has no time zone."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone: instants in the log are UTC")
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=digits) + "Z"


def from_text(text: str) -> datetime:
    """Read what ``to_text`` wrote."""
    return datetime.fromisoformat(text).astimezone(UTC)


def now() -> datetime:
    """Return this instant, UTC."""
    return datetime.now(UTC)
