"""``inspector status``: how a station is, for a person who stands before it; it looks from outside and disturbs nothing."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector.settings import read_station

if TYPE_CHECKING:
    from inspector.edge.health.condition import ConditionPayload

_COLOURS = {"running": "green", "degraded": "yellow", "paused": "yellow", "starting": "yellow", "stopped": "red"}
_PIPED_WIDTH = 200
"""Columns where the output is no terminal."""


@click.command
@click.argument("station")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document (inspector/schemas/condition.schema.json).")
@click.pass_obj
def command(root: Path, station: str, as_json: bool) -> None:
    """Tell how STATION is: whether its daemon runs, what is at fault, what it judged last, what waits for the broker.

    Exits with 0 if it runs and nothing is at fault, 1 if it runs and somebody should look (degraded, paused, starting, an open fault,
    a full disk), 3 if it does not run.
    """
    from inspector.edge.health.condition import look  # noqa: PLC0415 - keeps `inspector --help` quick

    condition = look(read_station(root / "calibration" / station), root)
    if as_json:
        click.echo(condition.model_dump_json(indent=2))
    else:
        _print(condition)
    if condition.exit_code:
        raise click.exceptions.Exit(condition.exit_code)


def _print(condition: "ConditionPayload") -> None:
    """Print the condition as tables."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - as in command
    from rich.console import Console  # noqa: PLC0415 - as in command
    from rich.markup import escape  # noqa: PLC0415 - as in command
    from rich.table import Table  # noqa: PLC0415 - as in command

    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPED_WIDTH)
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    colour = _COLOURS[condition.state]
    facts.add_row(escape(condition.station), f"[{colour}]{condition.state}[/]{escape(_since(condition))}")
    for name, text in _facts(condition):
        facts.add_row(name, escape(text))
    for fault in condition.faults:
        facts.add_row("[red]at fault[/]", escape(f"{fault.kind} since {_clock(fault.began_at)}: {fault.detail}"))
    console.print(facts)
    cameras = Table("camera", "", *_COUNTERS.values(), box=SIMPLE_HEAD, pad_edge=False)
    for name, camera in condition.cameras.items():
        state = {None: "-", True: "[red]lost[/]", False: "[green]well[/]"}[camera.is_lost]
        counters = ["-"] * len(_COUNTERS) if camera.counters is None else [_number(getattr(camera.counters, key)) for key in _COUNTERS]
        cameras.add_row(escape(name), state, *counters)
    console.print(cameras)


_COUNTERS = {
    "frames": "frames",
    "faulty_frames": "faulty",
    "dropped": "dropped",
    "faults": "faults",
    "reconnects": "came back",
    "lost_packets": "packets lost",
    "last_frame_age_ms": "last frame, ms ago",
}
"""Counters of a camera with the heads of their columns."""


def _facts(condition: "ConditionPayload") -> Iterator[tuple[str, str]]:
    """Yield (name, text) of each line below the first."""
    if condition.reason:
        yield "because", condition.reason
    last, hour, outbox, disk = condition.last_verdict, condition.last_hour, condition.outbox, condition.disk
    if last is None:
        yield "last verdict", "none yet"
    else:
        label = "" if last.label is None else f" {last.label}"
        yield "last verdict", f"{_span(last.age_s)} ago: {last.disposition}{label}, number {last.seq}, camera {last.camera}"
    took = "" if hour.p50_ms is None else f"; capture to verdict p50 {hour.p50_ms:,.0f} ms, p99 {hour.p99_ms:,.0f} ms"
    yield "last hour", f"{hour.verdicts.passed} pass, {hour.verdicts.fail} fail, {hour.verdicts.review} review{took}"
    oldest = "" if outbox.oldest_at is None else f", the oldest for {_span((condition.looked_at - outbox.oldest_at).total_seconds())}"
    yield "outbox", f"{outbox.messages} message{'' if outbox.messages == 1 else 's'} wait{'s' if outbox.messages == 1 else ''}{oldest}"
    if disk is not None:
        yield "disk", f"{disk.free_bytes / 1e6:,.0f} MB free, log.min_free_bytes asks for {disk.min_free_bytes / 1e6:,.0f} MB"
        yield "log", f"{disk.log}, {disk.log_bytes / 1e6:,.1f} MB"
    yield "model", condition.model or "not known before the first verdict"
    if condition.metrics == "silent":
        yield "metrics", "health.metrics_port is set, but nobody answers there: was the daemon started before it was?"


def _since(condition: "ConditionPayload") -> str:
    if condition.since is None:
        return ""
    return f" since {_clock(condition.since)} ({_span((condition.looked_at - condition.since).total_seconds())})"


def _clock(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"


def _span(seconds: float) -> str:
    """Return a span as a person says it."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0.0):.0f} s"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
