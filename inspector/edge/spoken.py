"""Spoken lines: what the daemon says on stderr about an event, as text, logfmt or JSON; one event, one line."""

import json
import os
from collections.abc import Mapping
from datetime import datetime

from inspector.edge.instants import now, to_text
from inspector.settings import StationSettings

_BAD_ENDINGS = ("lost", "failed", "refused", "limit", "waiting", "damaged", "full", "moved", "drift", "hung")
"""Last words of the kinds that tell of something wrong."""


def spoken(settings: StationSettings, kind: str, detail: str) -> str:
    """Return the line about an event that happens now, in the form that ``health.log_format`` asks for."""
    return line(form_of(settings.health.log_format, os.environ), now(), settings.name, kind, detail)


def form_of(log_format: str, environ: Mapping[str, str]) -> str:
    """Return text, logfmt or json; ``auto`` is logfmt where systemd's journal reads along, else text."""
    if log_format != "auto":
        return log_format
    return "logfmt" if environ.get("JOURNAL_STREAM") else "text"


def line(form: str, at: datetime, station: str, kind: str, detail: str) -> str:
    """Return one line about an event; logfmt and JSON bear ``at``, ``level`` (info or warning), ``station``, ``kind`` and ``detail``."""
    if form == "text":
        return f"{station} {kind}: {detail}"
    level = "warning" if kind.rpartition("-")[2] in _BAD_ENDINGS else "info"
    fields = {"at": to_text(at, "milliseconds"), "level": level, "station": station, "kind": kind, "detail": detail}
    if form == "json":
        return json.dumps(fields, ensure_ascii=False)
    return " ".join(f"{key}={json.dumps(value, ensure_ascii=False) if key == 'detail' else value}" for key, value in fields.items())
