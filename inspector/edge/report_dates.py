"""When a report was written, as people and programs write it. An instant without a time zone is taken as UTC."""

import re
from datetime import UTC, datetime

from inspector.errors import ReportError

_PATTERNS = (
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
    "%Y年%m月%d日 %H:%M",
    "%Y年%m月%d日",
)
"""Read beside ISO 8601. 03/04/2026 is refused: nobody can tell day and month apart."""
_LEADING = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:?\d{2})?)?(?![\d-])")


def read_instant(text: str) -> datetime:
    """Return the instant, UTC. Raises ``ReportError`` if it cannot be read or does not exist."""
    cleaned = " ".join(text.split())
    for pattern in (None, *_PATTERNS):
        try:
            read = datetime.fromisoformat(cleaned) if pattern is None else datetime.strptime(cleaned, pattern)  # noqa: DTZ007 - see below
            return (read if read.tzinfo is not None else read.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    raise ReportError(
        f"written_at {text!r} is no date; expected 2026-11-23, 2026-11-23 14:00, 2026-11-23T14:00:00Z, 2026/11/23 or 23.11.2026"
    )


def leading_instant(text: str) -> tuple[datetime | None, str]:
    """Return the ISO date that a text begins with and the rest of the text, or (None, text)."""
    found = _LEADING.match(text)
    if found is None:
        return None, text
    try:
        return read_instant(found.group()), text[found.end() :].lstrip(" \t:;,._-\r\n")
    except ReportError:
        return None, text
