"""The card of ``inspector bench STATION``, its JSON line, and whether the station keeps its budget."""

import functools
import json
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

    from inspector.bench.budget import Held
    from inspector.bench.loads import Load
    from inspector.bench.roofline import Roofline
    from inspector.bench.start import Start
    from inspector.settings import StationSettings


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be measured."""

    station: str
    """Name of the station."""
    frames: int
    """Frames of each load."""
    rate_hz: float
    """Rate of the throttled load."""
    size: str
    """WIDTHxHEIGHT or as-is."""
    with_broker: bool
    """False: to the committed row alone."""
    keeps_budget: bool
    """True: write the budget instead of comparing with it."""


@dataclass(slots=True)
class _Found:
    """What was measured."""

    machine: dict[str, Any]
    broker: str
    loads: "list[Load]"
    roofline: "Roofline | None"
    start: "Start | None"
    held: "list[Held]"
    budget_note: str


def bench_station(root: Path, wanted: Wanted, *, as_json: bool) -> bool:
    """Measure and print; return whether every stage keeps its budget."""
    found = _measure(root, wanted)
    if as_json:
        held = [{"stage": one.stage, "took_ms": round(one.took_ms, 3), "may_ms": round(one.may_ms, 3)} for one in found.held]
        click.echo(
            json.dumps(
                {"station": wanted.station, "size": wanted.size, **found.machine, "broker": found.broker}
                | {"loads": [load.to_dict() for load in found.loads]}
                | {"roofline": found.roofline and found.roofline.to_dict(), "start": found.start and found.start.to_dict()}
                | {"budget": held, "over_budget": [one.stage for one in found.held if one.is_over]}
            )
        )
    else:
        _print_card(found, wanted)
    return not any(one.is_over for one in found.held)


def _measure(root: Path, wanted: Wanted) -> _Found:
    """Run both loads, the roofline and the start."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.progress import Progress  # noqa: PLC0415 - as above

    from inspector.bench.loads import Bench, measure  # noqa: PLC0415 - as above
    from inspector.bench.machine import machine  # noqa: PLC0415 - as above
    from inspector.bench.pictures import read_frames, resized, write_pictures  # noqa: PLC0415 - as above
    from inspector.bench.probes import Probes  # noqa: PLC0415 - as above
    from inspector.bench.roofline import roofline  # noqa: PLC0415 - as above
    from inspector.bench.start import measure_start  # noqa: PLC0415 - as above
    from inspector.daemon import open_judge  # noqa: PLC0415 - as above
    from inspector.settings import read_station  # noqa: PLC0415 - as above

    settings, size_px = read_station(root / "calibration" / wanted.station), picture_size(wanted.size)
    here, place = machine(), root / "var"
    place.mkdir(exist_ok=True)
    with ExitStack() as parts:
        scratch = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=place)))  # on the disk that holds the logs
        pictures = read_frames(settings)
        entries = write_pictures(pictures, scratch, size_px)
        settings, broker = _with_broker(parts, settings, scratch, wanted)
        pipeline = parts.enter_context(open_judge(settings, root))
        probes = parts.enter_context(Probes(scratch, settings.model.threads))
        progress = parts.enter_context(Progress(console=Console(stderr=True), transient=True))
        bench, loads = Bench(pipeline, settings, entries, scratch, probes), []
        for name, rate_hz in (("throttled", wanted.rate_hz), ("flat out", 0.0)):
            tell = functools.partial(progress.advance, progress.add_task(name, total=wanted.frames))
            loads.append(measure(bench, name, count=wanted.frames, rate_hz=rate_hz, tell=tell))
        line = roofline(pipeline, resized(replace(pictures[0], recorded_at=None), size_px), loads[0], probes.gflops)
        held, note = _budget(settings, wanted, loads[0], probes, str(here["cpu"]))
        here["peak_rss_mib"] = machine()["peak_rss_mib"]
        here["probes"] = {"gemm_ms": round(probes.gemm_ms, 3), "sync_ms": round(probes.sync_ms, 3)}
        progress.add_task("starting the daemon twice", total=None)
        return _Found(here, broker, loads, line, measure_start(settings, root), held, note)


def _with_broker(parts: ExitStack, settings: "StationSettings", scratch: Path, wanted: Wanted) -> "tuple[StationSettings, str]":
    """Return the settings that publish to a broker of the bench's own, or publish nothing, and the broker's name."""
    from inspector.demo.broker import running_broker  # noqa: PLC0415 - quick --help

    if not wanted.with_broker:
        return settings.model_copy(update={"mqtt": settings.mqtt.model_copy(update={"enabled": False})}), ""
    broker = parts.enter_context(running_broker(scratch))
    plain = {"enabled": True, "host": "127.0.0.1", "port": broker.port, "username": None, "password_file": None}
    plain |= {"ca_file": None, "cert_file": None, "key_file": None}
    return settings.model_copy(update={"mqtt": settings.mqtt.model_copy(update=plain)}), broker.name


def _budget(settings: "StationSettings", wanted: Wanted, load: "Load", probes: Any, cpu: str) -> "tuple[list[Held], str]":  # noqa: ANN401 - the bench is imported late
    """Compare with the station's budget, or write it; return the comparison and a line for people."""
    from inspector.bench.budget import hold, read_budget, write_budget  # noqa: PLC0415 - quick --help

    if wanted.keeps_budget:
        return [], f"budget written: {write_budget(settings.folder, load, probes, wanted.size, cpu)}"
    budget = read_budget(settings.folder)
    if budget is None:
        return [], f"no budget: inspector bench {wanted.station} --keep-budget writes one"
    if budget.size != wanted.size:
        return [], f"budget not compared: it is for pictures of {budget.size}"
    held = hold(budget, load, probes)
    over = [f"{one.stage} took {one.took_ms:.1f} ms and may take {one.may_ms:.1f}" for one in held if one.is_over]
    return held, f"over budget: {'; '.join(over)}" if over else f"within budget: all of {len(held)} stages"


def picture_size(text: str) -> tuple[int, int] | None:
    """Return (width, height) of WIDTHxHEIGHT, None for as-is."""
    if text == "as-is":
        return None
    width, sign, height = text.partition("x")
    if not (sign and width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise click.BadParameter("expected WIDTHxHEIGHT such as 1920x1080, or as-is", param_hint="--size")
    return int(width), int(height)


def _print_card(found: _Found, wanted: Wanted) -> None:
    """Print the numbers for people."""
    from rich.console import Console  # noqa: PLC0415 - quick --help

    here, console = found.machine, Console()
    told = f"[bold]{wanted.station}[/], frames {wanted.size}, {here['cores']} cores of {here['cpu']}, load {here['load']} before the run"
    console.print(told, highlight=False)
    for load in found.loads:
        may = {one.stage: one.may_ms for one in found.held} if load is found.loads[0] else {}
        console.print(_table(load, may))
        console.print(
            f"{load.rate_hz:.1f} frames a second, {load.frames} logged, {load.published} acknowledged, {load.reports:.1f} reports beside a "
            f"verdict\nCPU {load.cpu_ms:.0f} ms a frame, {load.written_bytes / 1e3:.0f} kB written, message {load.message_bytes} bytes\n",
            highlight=False,
        )
    for line in _lines(found):
        console.print(line, highlight=False, soft_wrap=True)


def _table(load: "Load", may_ms: dict[str, float]) -> "Table":
    """Return one load as a table; ``may_ms`` is the budget by stage."""
    from rich.table import Table  # noqa: PLC0415 - quick --help

    table = Table(f"{load.name}, ms", *("p50", "p95", "p99", "max"), *(["p50 may be"] if may_ms else []))
    rows = {
        "capture to row": load.to_row,
        "capture to PUBACK": load.to_puback,
        **{f"  {name}": stage for name, stage in load.stages.items()},
    }
    for name, numbers in rows.items():
        if numbers:
            limit = may_ms.get(name.strip())
            cells = [f"{value:.1f}" for value in numbers.values()] + ([] if limit is None else [f"{limit:.1f}"])
            table.add_row(name, *cells, style="" if name.startswith(" ") else "bold")
    return table


def _lines(found: _Found) -> list[str]:
    """Return what stands below the table."""
    lines = [f"broker: {found.broker or 'none, so no PUBACK'}; peak memory of this process {found.machine['peak_rss_mib']} MiB"]
    if found.roofline is not None:
        r = found.roofline
        lines.append(
            f"roofline: {r.flops / 1e9:.2f} GFLOP a frame at {r.gflops:.0f} GFLOP/s, {r.flops / r.gflops / 1e6:.1f} ms at best; "
            f"took {r.took_ms:.1f} ms, {r.over:.2f} times that"
        )
    if found.start is not None:
        s = found.start
        lines.append(f"daemon: {s.first_s:.1f} s to READY the first time, {s.again_s:.1f} s after that; {s.rss_mib:.0f} MiB at most")
    return [*lines, found.budget_note]
