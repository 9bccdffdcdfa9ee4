"""Lines on stderr and the memory limit."""

import json
from datetime import UTC, datetime

import pytest

from inspector.edge.memory import MemoryLimit, rss_bytes
from inspector.edge.spoken import form_of, line

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("log_format", "environ", "form"),
    [
        ("auto", {}, "text"),
        ("auto", {"JOURNAL_STREAM": "8:1"}, "logfmt"),
        ("json", {"JOURNAL_STREAM": "8:1"}, "json"),
        ("text", {}, "text"),
    ],
)
def test_auto_is_logfmt_under_the_journal_and_text_elsewhere(log_format: str, environ: dict[str, str], form: str) -> None:
    assert form_of(log_format, environ) == form


def test_text_is_station_kind_and_detail() -> None:
    assert line("text", AT, "s1", "started", "all well") == "s1 started: all well"


def test_logfmt_keeps_an_event_on_one_line() -> None:
    said = line("logfmt", AT, "s1", "camera-lost", 'no "left"\nframe')
    assert said == r'at=2026-01-02T03:04:05.000Z level=warning station=s1 kind=camera-lost detail="no \"left\"\nframe"'


def test_json_bears_the_five_fields() -> None:
    said = json.loads(line("json", AT, "s1", "camera-back", "delivers"))
    assert list(said.values()) == ["2026-01-02T03:04:05.000Z", "info", "s1", "camera-back", "delivers"]


def test_memory_above_the_limit_is_told_and_no_limit_is_never_passed() -> None:
    assert rss_bytes() > 1
    assert "health.max_rss_bytes = 1" in MemoryLimit(1).excess()
    assert MemoryLimit(0).excess() == MemoryLimit(2**60).excess() == ""
