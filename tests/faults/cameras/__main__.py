"""``make camera-faults``: real cameras' objects against simulated cameras that fail, and an account of what was told and what was not."""

import fcntl
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console
from rich.table import Table

from tests.faults.cameras import gige, network
from tests.faults.cameras.scenarios import GIGE, MJPEG_PORT, RTSP, RTSP_PORT, SCENARIOS, SECOND, Scenario, Server, second_section, section
from tests.faults.cameras.watch import Watch

_STALE_S = 0.5
"""A frame that says it is younger than it is by more than this is stale and passed as fresh."""
_BEFORE_S = 4.0
_LONGEST_S = 30.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Row:
    """What came of a scenario."""

    scenario: str
    told_after_s: float | None
    """From the fault to the first word of it, seconds."""
    told: str | None
    """That word."""
    frames: int
    """Good frames taken while it lasted and after."""
    stale: int
    """Frames among them that passed as fresh though old."""
    older_ms: float
    """How much older than it said the worst of them was, milliseconds."""
    damaged: int
    """Frames among them with rows missing."""
    recovery_s: float | None
    """From the cure to the first good frame taken after it, seconds."""
    before_p99_ms: float | None
    """Second camera: time between frames, before."""
    during_p99_ms: float | None
    """The same from the fault to the recovery."""
    is_held: bool
    """False if something passed that must not, or was not told, or did not come back."""


@click.command
@click.option("--folder", default="var/camera-faults", show_default=True, type=click.Path(path_type=Path), help="Where result.json goes.")
def main(folder: Path) -> None:
    """Run the scenarios and print the account; exit code 1 if one of them does not hold."""
    console, usable = Console(width=150), {GIGE: gige.is_installed(), RTSP: network.has_rtsp()}
    second = Server("network", "mjpeg", str(MJPEG_PORT))
    with (Path(tempfile.gettempdir()) / "inspector-tests-gige-3956.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second.start()
        try:
            rows = [_run(scenario) for scenario in SCENARIOS if usable[scenario.camera]]
        finally:
            second.kill()
    left_out = [scenario.name for scenario in SCENARIOS if not usable[scenario.camera]]
    _print(console, rows, left_out)
    folder.mkdir(parents=True, exist_ok=True)
    result = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "rows": [asdict(row) for row in rows], "left_out": left_out}
    (folder / "result.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    sys.exit(0 if rows and all(row.is_held for row in rows) else 1)


def _run(scenario: Scenario) -> Row:
    """Run one scenario from the start of its camera to its recovery."""
    server = Server("gige") if scenario.camera == GIGE else Server("network", "rtsp", str(RTSP_PORT))
    server.start()
    try:
        with Watch({scenario.camera: section(scenario), SECOND: second_section()}, GIGE) as watch:
            began_s = time.monotonic()
            if scenario.recovers:
                _wait(lambda: watch.good_since(scenario.camera, began_s) is not None)
            return _observed(scenario, watch, server, began_s)
    finally:
        server.kill()


def _observed(scenario: Scenario, watch: Watch, server: Server, began_s: float) -> Row:
    time.sleep(_BEFORE_S)
    watch.pause_s, fault_s = scenario.pause_s, time.monotonic()
    scenario.inject(server)
    since_s = fault_s if scenario.recovers else began_s
    time.sleep(scenario.hold_s)
    watch.pause_s, cured_s = 0.0, time.monotonic()
    if scenario.cure is not None:
        scenario.cure(server)
    # What needs no cure is over as soon as it was told.
    told = watch.first_told(scenario.camera, since_s)
    back_from_s = cured_s if scenario.cure is not None or told is None else told[0]
    back = _wait(lambda: watch.good_since(scenario.camera, back_from_s)) if scenario.recovers else None
    until_s = time.monotonic()
    time.sleep(1.0)
    notes = [note for note in watch.notes if note.camera == scenario.camera and not note.fault and note.at_s >= since_s]
    stale = sum(note.grabbed_s - note.painted_s > _STALE_S for note in notes)
    damaged = sum(not note.is_whole for note in notes)
    return Row(
        scenario.name,
        told[0] - since_s if told else None,
        told[1] if told else None,
        len(notes),
        stale,
        max((1000.0 * (note.grabbed_s - note.painted_s) for note in notes), default=0.0),
        damaged,
        back.at_s - (cured_s if scenario.cure is not None else since_s) if back and scenario.must_tell else None,
        watch.gap_p99_ms(SECOND, fault_s - _BEFORE_S + 0.5, fault_s),
        watch.gap_p99_ms(SECOND, fault_s, until_s),
        is_held=not stale and not damaged and bool(told) == scenario.must_tell and (back is not None) == scenario.recovers,
    )


def _wait(look: Callable[[], _T | None]) -> _T | None:
    """Return what there is to see as soon as there is, None if it takes too long."""
    until_s = time.monotonic() + _LONGEST_S
    while not (found := look()) and time.monotonic() < until_s:
        time.sleep(0.02)
    return found


def _print(console: Console, rows: list[Row], left_out: list[str]) -> None:
    heads = (
        "scenario",
        "told after s",
        "frames",
        "stale",
        "older by ms",
        "damaged",
        "recovery s",
        "second p99 ms before",
        "during",
        "held",
    )
    table = Table(*heads, title="camera faults")
    for row in rows:
        numbers = (row.told_after_s, row.frames, row.stale, row.older_ms, row.damaged, row.recovery_s, row.before_p99_ms, row.during_p99_ms)
        table.add_row(row.scenario, *map(_short, numbers), "yes" if row.is_held else "NO")
    console.print(table)
    for row in rows:
        console.print(f"{row.scenario}: {row.told or 'nothing told'}", highlight=False)
    if left_out:
        console.print(f"left out, because libaravis-0.8-0, or rtsp-rs and av, are not installed: {', '.join(left_out)}", highlight=False)


def _short(number: float | None) -> str:
    if number is None:
        return "-"
    return str(number) if isinstance(number, int) else f"{number:.1f}"


if __name__ == "__main__":
    main()
