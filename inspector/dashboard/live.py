"""The live view: what each station judged last and how it is, pushed to the screens within a second of a verdict.

A station is looked at four times a second, however many screens watch; its condition is asked anew when an event was logged, when its
daemon came or went, and every ten seconds.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import Field

from inspector.core.inspection import Disposition
from inspector.dashboard import questions
from inspector.dashboard.site import Shown, Site
from inspector.dashboard.words import Language, translate
from inspector.edge.health.condition import ConditionPayload, OpenFault, look
from inspector.edge.instants import from_text, now
from inspector.edge.lock import look_at_lock
from inspector.edge.payload import Payload
from inspector.errors import LogError

PERIOD_S = 0.25
"""How often a station is looked at."""
_CONDITION_S = 10.0
_AT_WORK = frozenset({"running", "degraded"})
_SHORT = {"camera-lost": "Camera lost", "broker-lost": "Broker down"}


class Box(Payload):
    """A region that did not pass, pixels of the frame."""

    x: int = Field(description="Left edge.")
    y: int = Field(description="Upper edge.")
    width: int = Field(description="Width.")
    height: int = Field(description="Height.")
    label: str = Field(description="Label there, as people call it.")
    disposition: str = Field(description="fail or review.")


class Tile(Payload):
    """What a screen shows of one station."""

    station: str = Field(description="Its name.")
    state: str = Field(description="running, degraded, paused, starting, stopped or unreadable.")
    state_text: str = Field(description="The same in words.")
    faults: list[str] = Field(description="What is at fault, in words, the worst first.")
    is_past: bool = Field(description="True if nobody judges parts now: what is shown is the last verdict, not that of the part in view.")
    seq: int = Field(description="Number of the newest verdict, 0 before the first.")
    disposition: Disposition | None = Field(description="The newest verdict; null before the first.")
    verdict_text: str = Field(description="The same in words.")
    label: str = Field(description="Label that decided, as people call it.")
    confidence: float | None = Field(description="Its probability.")
    reason: str = Field(description="Why, in words.")
    part: str = Field(description="Part, lot and product.")
    age_s: float | None = Field(description="Time since the verdict, seconds.")
    counts: dict[str, int] = Field(description="Verdicts of the last hour by disposition.")
    inspection_id: str | None = Field(description="Names the newest verdict.")
    picture: str | None = Field(description="Address of the newest kept picture.")
    picture_text: str = Field(description="Whether it is of this part.")
    picture_px: tuple[int, int] = Field(description="Width and height of it.")
    boxes: list[Box] = Field(description="Regions of the part in the picture that did not pass.")


@dataclass(slots=True)
class Glance:
    """What was seen of a station at one instant, in no language."""

    seq: int = 0
    newest: questions.Row | None = None
    pictured: questions.Row | None = None
    boxes: list[questions.Row] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    condition: ConditionPayload | None = None
    trouble: str = ""
    """Why the log cannot be read; empty if it can."""


@dataclass(slots=True)
class Watch:
    """Looks at one station for all screens."""

    site: Site
    station: Shown
    glance: Glance = field(default_factory=Glance)
    version: int = 0
    """Rises whenever something else is to be shown."""
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _mark: tuple[object, ...] = ()
    _looked_s: float = float("-inf")
    _condition_s: float = float("-inf")

    async def look(self) -> Glance:
        """Look, unless somebody has just done so."""
        async with self._lock:
            if time.monotonic() - self._looked_s >= 0.8 * PERIOD_S:
                await self._look_anew()
                self._looked_s = time.monotonic()
        return self.glance

    async def _look_anew(self) -> None:
        try:
            seen = await self.site.ask(self.station, self._mark_now)
            mark = (seen, self.station.log.exists() and look_at_lock(self.station.log))
            if mark == self._mark and time.monotonic() - self._condition_s < _CONDITION_S:
                return
            fresh = await self.site.ask(self.station, self._glance) or Glance()
            fresh.condition = self.glance.condition
            if mark[1:] != self._mark[1:] or _events(seen) != _events(self._mark[0] if self._mark else None):
                self._condition_s = float("-inf")
            if time.monotonic() - self._condition_s >= _CONDITION_S:
                loop = asyncio.get_running_loop()
                fresh.condition = await loop.run_in_executor(self.site.executor, look, self.station.settings, self.station.root)
                self._condition_s = time.monotonic()
            self._mark = mark
        except LogError as error:
            fresh, self._mark = Glance(trouble=str(error)), ()
        self.glance = fresh
        self.version += 1

    def _mark_now(self, connection: sqlite3.Connection) -> tuple[int, int]:
        """Return the last numbers of verdicts and events."""
        event = connection.execute("SELECT coalesce(max(event_id), 0) FROM events").fetchone()[0]
        return questions.last_seq(connection, self.station.settings.name), int(event)

    def _glance(self, connection: sqlite3.Connection) -> Glance:
        name = self.station.settings.name
        newest = questions.newest(connection, name)
        pictured = newest if newest is not None and newest["image_path"] else questions.newest_with_picture(connection, name)
        return Glance(
            seq=questions.last_seq(connection, name),
            newest=newest,
            pictured=pictured,
            boxes=[] if pictured is None else questions.findings(connection, pictured["inspection_id"]),
            counts=questions.counts(connection, name, now() - timedelta(hours=1)),
        )


def tile(station: Shown, glance: Glance, language: Language) -> Tile:
    """Return what a screen shows, in its language."""
    row, pictured, name = glance.newest or {}, glance.pictured, station.settings.name
    disposition = row.get("disposition")
    state = "unreadable" if glance.trouble else glance.condition.state if glance.condition else "stopped"
    words = {"unreadable": "The log cannot be read", "review": "REVIEW", "pass": "PASS", "fail": "FAIL"}
    shown = "no picture is kept" if pictured is None else "last kept picture"
    if pictured is not None and pictured["inspection_id"] == row.get("inspection_id"):
        shown = "picture of this part"
    return Tile(
        station=name,
        state=state,
        state_text=translate(words.get(state, state), language),
        faults=_faults(glance, language),
        is_past=bool(row) and (state not in _AT_WORK or _is_blind(glance)),
        seq=glance.seq,
        disposition=disposition,
        verdict_text=translate(words.get(str(disposition), "not known" if glance.trouble else "no data yet"), language),
        label=station.label(row.get("product"), row.get("label"), language),
        confidence=row.get("confidence"),
        reason=str(row.get("reason", "")),
        part=" · ".join(str(row[key]) for key in ("product", "lot", "part_id", "camera") if row.get(key)),
        age_s=None if not row else (now() - from_text(str(row["inspected_at"]))).total_seconds(),
        counts=glance.counts,
        inspection_id=row.get("inspection_id"),
        picture=None if pictured is None else f"/-/picture/{name}/{pictured['inspection_id']}/picture",
        picture_text=translate(shown, language),
        picture_px=(0, 0) if pictured is None else (pictured["width_px"], pictured["height_px"]),
        boxes=[] if pictured is None else [_box(station, pictured, finding, language) for finding in glance.boxes],
    )


def box_px(pictured: Mapping[str, object], finding: Mapping[str, object]) -> dict[str, int]:
    """Return where a finding lies; one without a box is the whole frame."""
    whole = {"x": 0, "y": 0, "width": pictured["width_px"], "height": pictured["height_px"]}
    return {key: int(str(whole[key] if finding["x_px"] is None else finding[f"{key}_px"])) for key in whole}


def _is_blind(glance: Glance) -> bool:
    """Return whether a camera is lost."""
    return glance.condition is not None and any(fault.kind == "camera-lost" for fault in glance.condition.faults)


def _box(station: Shown, pictured: questions.Row, finding: questions.Row, language: Language) -> Box:
    label = station.label(pictured["product"], finding["label"], language)
    return Box(**box_px(pictured, finding), label=label, disposition=str(finding["disposition"]))


def _faults(glance: Glance, language: Language) -> list[str]:
    if glance.trouble:
        return [glance.trouble]
    found = glance.condition
    if found is None:
        return []
    if found.disk is None and found.state == "stopped":
        return [translate("The log begins with the first start of the daemon.", language)]
    said = [_fault(fault, language) for fault in found.faults]
    return said or ([found.reason] if found.reason and found.state != "running" else [])


def _fault(fault: OpenFault, language: Language) -> str:
    said = f"{translate(_SHORT.get(fault.kind, fault.kind), language)}: {fault.detail}"
    return f"{said} · {translate('results wait in the log', language)}" if fault.kind == "broker-lost" else said


def _events(seen: object) -> object:
    return seen[1] if isinstance(seen, tuple) else None


def as_event(tiles: list[Tile]) -> bytes:
    """Return tiles as one server-sent event (WHATWG HTML, 9.2)."""
    return f"data: {json.dumps([tile.model_dump() for tile in tiles], ensure_ascii=False)}\n\n".encode()
