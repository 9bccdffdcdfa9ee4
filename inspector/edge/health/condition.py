"""The condition of a station as seen from outside: lock, log, disk and, if it is open, the port for Prometheus. Nothing is written.

The log is opened to read and let go within moments, so the daemon, if there is one, is not disturbed.
"""

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field

from inspector.core.inspection import Disposition, Inspection
from inspector.core.latency import Latencies
from inspector.edge.ailing import Ailing, OpenFaults, told_kinds
from inspector.edge.disk.checkpoint import wal_bytes
from inspector.edge.health.payload import CameraFigures, Verdicts
from inspector.edge.health.scrape import scrape
from inspector.edge.instants import now
from inspector.edge.lock import Holder, look_at_lock
from inspector.edge.log import Event, Log, database_path
from inspector.edge.payload import Duration, Instant, Payload
from inspector.errors import LogError
from inspector.settings import StationSettings


class OpenFault(Payload):
    """A fault that has begun and not ended."""

    kind: str = Field(description="Kind of the event that began it, such as camera-lost.")
    detail: str = Field(description="What exactly, and what to do.")
    began_at: Instant = Field(description="When it began.")


class LastVerdict(Payload):
    """The newest inspection in the log."""

    seq: int = Field(ge=1, description="Its number within the station.")
    camera: str = Field(description="Name of the camera.")
    part_id: str | None = Field(description="Serial number of the part.")
    disposition: Disposition = Field(description="pass, fail or review.")
    label: str | None = Field(description="Label that decided; null after a fault.")
    reason: str = Field(description="Why, in words.")
    inspected_at: Instant = Field(description="When it was reached.")
    age_s: float = Field(description="How long ago, seconds.")


class LastHour(Payload):
    """What was judged within the last hour."""

    verdicts: Verdicts = Field(description="Inspections by disposition.")
    p50_ms: Duration | None = Field(description="From capture to verdict: half of them took no longer; faults left out. Null without any.")
    p99_ms: Duration | None = Field(description="99 of 100 took no longer.")


class OutboxCondition(Payload):
    """The messages that wait for the broker."""

    messages: int = Field(ge=0, description="How many.")
    oldest_at: Instant | None = Field(description="Since when the oldest one has waited; null without any.")


class CameraCondition(Payload):
    """One camera."""

    is_lost: bool | None = Field(description="True while it is lost; null if the daemon does not run.")
    counters: CameraFigures | None = Field(
        description="How it has fared since the daemon began; null if health.metrics_port is not served."
    )


class DiskCondition(Payload):
    """The disk of the log."""

    log: str = Field(description="The log's file.")
    log_bytes: int = Field(ge=0, description="Its length, the write-ahead log included.")
    free_bytes: int = Field(ge=0, description="Free space of its disk.")
    min_free_bytes: int = Field(ge=0, description="What log.min_free_bytes asks for.")


class ConditionPayload(Payload):
    """What ``inspector status --json`` prints."""

    schema_id: Literal["inspector.condition/1"] = Field("inspector.condition/1", alias="schema", description="Names this schema.")
    station: str = Field(description="Name of the station.")
    looked_at: Instant = Field(description="When this was found.")
    state: Literal["starting", "running", "degraded", "paused", "stopped"] = Field(description="stopped: no daemon runs.")
    reason: str = Field(description="Why, in words; may be empty.")
    since: Instant | None = Field(description="When this state began; null if nobody knows.")
    model: str | None = Field(description="Name and revision of the model, of the newest verdict where the daemon does not tell it.")
    last_verdict: LastVerdict | None = Field(description="The newest inspection; null before the first.")
    last_hour: LastHour = Field(description="Inspections of the last 60 minutes.")
    outbox: OutboxCondition = Field(description="Messages that wait for the broker.")
    faults: list[OpenFault] = Field(description="What has begun and not ended, oldest first; empty if the daemon does not run.")
    cameras: dict[str, CameraCondition] = Field(description="Each camera, by name.")
    disk: DiskCondition | None = Field(description="Log and free space; null before the first start.")
    metrics: Literal["off", "served", "silent"] = Field(description="The port health.metrics_port; silent: set, but nobody answers.")

    @property
    def exit_code(self) -> int:
        """0: runs and nothing is at fault; 1: it runs, but look at it; 3: it does not run (as LSB's ``status`` of an init script)."""
        if self.state == "stopped":
            return 3
        is_low = self.disk is not None and self.disk.free_bytes < self.disk.min_free_bytes
        is_lost = any(camera.is_lost for camera in self.cameras.values())
        return int(self.state != "running" or bool(self.faults) or is_low or is_lost)


class _Run:
    """What the events of a run come to."""

    def __init__(self, events: list[Event]) -> None:
        """Hear them in their order."""
        ailing, faults, since = Ailing(), OpenFaults[Event](), None
        for event in events:
            before = ailing.told[0]
            ailing.hear(event.kind, event.detail)
            faults.hear(event.kind, event.detail, event)
            since = event.occurred_at if ailing.told[0] != before else since
        self.state, self.reason = ailing.told
        self.since = since
        self.faults = [OpenFault(kind=e.kind, detail=e.detail, began_at=e.occurred_at) for e in faults.by_key.values()]


def look(settings: StationSettings, root: Path) -> ConditionPayload:
    """Return the condition of a station. Raises ``LogError`` if lock or log cannot be read by this user."""
    path = database_path(settings, root)
    holder = look_at_lock(path)
    if not path.exists():
        never = f"{path}: no log yet; it begins with the first start: inspector run {settings.name}"
        under = "; under systemd look with STATE_DIRECTORY=/var/lib/inspector"
        return _without_log(settings, "the first start is under way" if holder.is_there else f"never started: {never}{under}", holder)
    try:
        with Log(path, settings.name, brief=True) as log:
            found = _seen(settings, log, holder)
    except LogError:
        if not holder.is_starting:
            raise
        return _without_log(settings, "the log is being made, checked or brought up to date", holder)
    port = settings.health.metrics_port
    told = scrape(port, settings.name) if port and holder.is_there else None
    if told is None:
        return found.model_copy(update={"metrics": "silent" if port and holder.is_there else "off"})
    cameras = {
        name: CameraCondition(is_lost=counters.is_lost, counters=counters) if (counters := told.cameras.get(name)) else camera
        for name, camera in found.cameras.items()
    }
    return found.model_copy(update={"metrics": "served", "model": told.model, "cameras": cameras})


def _seen(settings: StationSettings, log: Log, holder: Holder) -> ConditionPayload:
    """Return what lock and log tell."""
    instant = now()
    state, reason, since, faults = _state(log, holder)
    newest = next(log.find(limit=1), None)
    waiting, lost = log.waiting(), {fault.detail.partition(": ")[0] for fault in faults if fault.kind == "camera-lost"}
    return ConditionPayload(
        station=settings.name,
        looked_at=instant,
        state=state,
        reason=reason,
        since=since,
        model=None if newest is None else newest.model,
        last_verdict=None if newest is None else _last(newest, instant),
        last_hour=_hour(log.judged_since(instant - timedelta(hours=1))),
        outbox=OutboxCondition(messages=waiting.count, oldest_at=waiting.oldest_at),
        faults=faults,
        cameras={name: CameraCondition(is_lost=name in lost if holder.is_there else None, counters=None) for name in settings.cameras},
        disk=_disk(settings, log.path),
        metrics="off",
    )


def _state(
    log: Log, holder: Holder
) -> tuple[Literal["starting", "running", "degraded", "paused", "stopped"], str, datetime | None, list[OpenFault]]:
    """Return state, reason, since when, and what is at fault."""
    if not holder.is_there:
        turn = next(reversed(log.events_of({"started", "stopped"})), None)
        is_in_order = turn is not None and turn.kind == "stopped"
        return "stopped", _ended(turn, log.station), turn.occurred_at if turn is not None and is_in_order else None, []
    if holder.is_starting:
        return "starting", "the log is being opened or the model loads", None, []
    run = _Run(log.events_of(told_kinds(), holder.after_event or 0))
    known: dict[str, Literal["running", "degraded", "paused"]] = {"running": "running", "degraded": "degraded", "paused": "paused"}
    return known.get(run.state, "running"), run.reason, run.since, run.faults


def _ended(turn: Event | None, station: str) -> str:
    """Return why no daemon runs, given the last event that tells of a start or a stop."""
    if turn is None:
        return f"never started; start it with: inspector run {station}"
    how = "its last run ended in order" if turn.kind == "stopped" else "its last run was killed, or ended at a fault"
    return f"{how}; journalctl -u inspector@{station}, or its terminal, tells more"


def _last(newest: Inspection, instant: datetime) -> LastVerdict:
    return LastVerdict(
        seq=newest.seq or 0,
        camera=newest.camera,
        part_id=newest.part_id,
        disposition=newest.verdict.disposition,
        label=newest.label,
        reason=newest.verdict.reason,
        inspected_at=newest.inspected_at,
        age_s=round((instant - newest.inspected_at).total_seconds(), 3),
    )


def _hour(rows: list[tuple[Disposition, bool, float]]) -> LastHour:
    """Return counts and quantiles of (disposition, is a fault, frame age in ms)."""
    kinds = [disposition for disposition, _, _ in rows]
    ages = Latencies(max(len(rows), 1))
    for _, is_fault, age_ms in rows:
        if not is_fault:
            ages.add(age_ms)
    is_empty = all(is_fault for _, is_fault, _ in rows)
    spread = ages.summary()
    return LastHour(
        verdicts=Verdicts(passed=kinds.count("pass"), fail=kinds.count("fail"), review=kinds.count("review")),
        p50_ms=None if is_empty else spread["p50_ms"],
        p99_ms=None if is_empty else spread["p99_ms"],
    )


def _disk(settings: StationSettings, path: Path) -> DiskCondition:
    return DiskCondition(
        log=str(path),
        log_bytes=path.stat().st_size + wal_bytes(path),
        free_bytes=shutil.disk_usage(path.parent).free,
        min_free_bytes=settings.log.min_free_bytes,
    )


def _without_log(settings: StationSettings, reason: str, holder: Holder) -> ConditionPayload:
    """Return the condition of a station that has judged nothing yet."""
    return ConditionPayload(
        station=settings.name,
        looked_at=now(),
        state="starting" if holder.is_there else "stopped",
        reason=reason,
        since=None,
        model=None,
        last_verdict=None,
        last_hour=_hour([]),
        outbox=OutboxCondition(messages=0, oldest_at=None),
        faults=[],
        cameras={name: CameraCondition(is_lost=None, counters=None) for name in settings.cameras},
        disk=None,
        metrics="off",
    )
