"""``inspector bench``: from capture to the committed row, on this machine, with the station's own model and pictures."""

import functools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from inspector.cli.bench_full import bench_full
from inspector.settings import Precision

if TYPE_CHECKING:
    from inspector.bench import Load


@click.command
@click.argument("station", default="demo")
@click.option("--frames", default=300, show_default=True, type=click.IntRange(min=10), help="Frames of each load.")
@click.option("--rate", default=10.0, show_default=True, type=click.FloatRange(min=0.1), help="Frames a second of the throttled load.")
@click.option("--size", default="1920x1080", show_default=True, help="Resize pictures to WIDTHxHEIGHT; 'as-is' leaves them.")
@click.option("--log", "log_alone", is_flag=True, help="Measure the log alone: an empty one against one of --rows verdicts. No model.")
@click.option("--rows", default=1_000_000, show_default=True, type=click.IntRange(min=1000), help="With --log: verdicts of the full one.")
@click.option(
    "--full", metavar="MODEL", help="Measure a full MiniCPM-V: a folder below models/, or minicpmv4_6 or minicpmv4_7 (true sizes)."
)
@click.option(
    "--precision", default="bfloat16", show_default=True, type=click.Choice(get_args(Precision)), help="With --full: of the weights."
)
@click.option("--teach", is_flag=True, help="With --full: memory and time of one step of teaching instead of verdicts.")
@click.option(
    "--limit-gib", type=click.FloatRange(min=0.5), help="With --full: the kernel gives this process no more address space than so many GiB."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line instead of the card.")
@click.pass_obj
def command(
    root: Path,
    station: str,
    frames: int,
    rate: float,
    size: str,
    log_alone: bool,
    rows: int,
    full: str | None,
    precision: str,
    teach: bool,
    limit_gib: float | None,
    as_json: bool,
) -> None:
    """Measure STATION: capture to committed row, throttled and flat out, split into stages. No broker is needed."""
    from inspector.bench import machine  # noqa: PLC0415 - quick --help

    if full is not None:
        bench_full(root, full, precision, min(frames, 5), limit_gib=limit_gib, teach=teach, as_json=as_json)
        return
    if teach or limit_gib is not None:
        raise click.UsageError("--teach and --limit-gib measure a full MiniCPM-V: name it with --full")
    if log_alone:
        _bench_log(root, rows, max(frames, 1000), as_json=as_json)
        return
    loads = list(_loads(root, station, frames, rate, _size(size)))
    here = machine()
    if as_json:
        click.echo(json.dumps({"station": station, "size": size, **here, "loads": [load.to_dict() for load in loads]}))
        return
    _print_card(loads, f"{station}, frames {size}, {here['cores']} cores of {here['cpu']}, peak RSS {here['peak_rss_mib']} MiB")


def _loads(root: Path, station: str, count: int, rate: float, size: tuple[int, int] | None) -> "Iterator[Load]":
    """Measure both loads, with a progress bar."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.progress import Progress  # noqa: PLC0415 - as above

    from inspector.bench import measure, read_frames  # noqa: PLC0415 - as above
    from inspector.daemon import open_judge  # noqa: PLC0415 - as above
    from inspector.settings import read_station  # noqa: PLC0415 - as above

    settings = read_station(root / "calibration" / station)
    pictures = read_frames(settings)
    with (
        open_judge(settings, root) as pipeline,
        tempfile.TemporaryDirectory(prefix="inspector-bench-") as scratch,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        for name, rate_hz in (("throttled", rate), ("flat out", 0.0)):
            bar = progress.add_task(name, total=count)
            database = Path(scratch) / f"{name}.db"
            tell = functools.partial(progress.advance, bar)
            yield measure(name, pipeline, settings, pictures, database, count=count, rate_hz=rate_hz, size_px=size, tell=tell)


def _size(text: str) -> tuple[int, int] | None:
    """Return (width, height) of WIDTHxHEIGHT, None for as-is."""
    if text == "as-is":
        return None
    width, sign, height = text.partition("x")
    if not (sign and width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise click.BadParameter("expected WIDTHxHEIGHT such as 1920x1080, or as-is", param_hint="--size")
    return int(width), int(height)


def _print_card(loads: "list[Load]", title: str) -> None:
    """Print the numbers for people."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.table import Table  # noqa: PLC0415 - as above

    table = Table("", *(load.name for load in loads), title=title)
    table.add_row("frames", *(str(load.frames) for load in loads))
    table.add_row("frames a second", *(f"{load.rate_hz:.1f}" for load in loads))
    for key in ("p50_ms", "p95_ms", "p99_ms", "max_ms"):
        table.add_row(f"capture to row {key.removesuffix('_ms')}, ms", *(f"{load.to_row_ms[key]:.1f}" for load in loads), style="bold")
    for stage in loads[0].stages_ms:
        table.add_row(f"  {stage}, median ms", *(f"{load.stages_ms[stage]:.1f}" for load in loads))
    table.add_row("CPU time a frame, ms", *(f"{load.cpu_ms:.0f}" for load in loads))
    Console().print(table)


def _bench_log(root: Path, rows: int, cycles: int, *, as_json: bool) -> None:
    """Measure the log alone, on the disk that holds the stations' logs, and print it."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.progress import Progress  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415 - as above

    from inspector.bench import machine  # noqa: PLC0415 - as above
    from inspector.bench_log import bench_log  # noqa: PLC0415 - as above

    place = root / "var"
    place.mkdir(exist_ok=True)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(f"filling {rows:,} rows", total=rows)
        costs = bench_log(place, rows, cycles, lambda done, _all: progress.update(bar, completed=done))
    if as_json:
        click.echo(json.dumps({**machine(), "log": [cost.to_dict() for cost in costs]}))
        return
    table = Table("", *(f"{cost.rows:,} rows" for cost in costs), title=f"the log alone, {costs[0].cycles} verdicts each, in turns")
    for key, title in (
        ("commit_p50_ms", "commit, p50, ms"),
        ("commit_p99_ms", "commit, p99, ms"),
        ("close_p50_ms", "read and close the message, p50, ms"),
        ("close_p99_ms", "read and close the message, p99, ms"),
        ("row_bytes", "bytes a verdict that stay"),
        ("written_bytes", "bytes a verdict that are written"),
    ):
        table.add_row(title, *(f"{getattr(cost, key):,}" for cost in costs))
    Console().print(table)
