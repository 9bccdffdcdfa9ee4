"""``inspector bench``: from capture to the committed row, on this machine, with the station's own model and pictures."""

from pathlib import Path
from typing import get_args

import click

from inspector.cli.bench_full import bench_full
from inspector.cli.bench_growth import bench_growth
from inspector.cli.bench_log import bench_log_alone
from inspector.cli.bench_sizes import bench_sizes
from inspector.cli.bench_station import Wanted, bench_station, picture_size
from inspector.settings import Precision


@click.command
@click.argument("station", default="demo")
@click.option("--frames", default=300, show_default=True, type=click.IntRange(min=10), help="Frames of each load.")
@click.option("--rate", default=10.0, show_default=True, type=click.FloatRange(min=0.1), help="Frames a second of the throttled load.")
@click.option("--size", default="1920x1080", show_default=True, help="Resize pictures to WIDTHxHEIGHT; 'as-is' leaves them.")
@click.option("--no-broker", is_flag=True, help="Measure to the committed row alone, without a broker and its part of the processor.")
@click.option("--keep-budget", is_flag=True, help="Write what was measured as the station's budget instead of comparing with it.")
@click.option("--log", "log_alone", is_flag=True, help="Measure the log alone: an empty one against one of --rows verdicts. No model.")
@click.option("--growth", is_flag=True, help="Measure how a verdict's time grows with reports, regions, labels and rows of the log.")
@click.option("--sizes", is_flag=True, help="Round each part of the model to 16, 8 and 4 bits: bytes, memory, time, flipped labels.")
@click.option(
    "--rows", default=1_000_000, show_default=True, type=click.IntRange(min=1000), help="With --log and --growth: verdicts of the full log."
)
@click.option(
    "--full", metavar="MODEL", help="Measure a full MiniCPM-V: a folder below models/, or minicpmv4_6 or minicpmv4_7 (true sizes)."
)
@click.option(
    "--precision", default="bfloat16", show_default=True, type=click.Choice(get_args(Precision)), help="With --full: of the weights."
)
@click.option(
    "--reports", default=100_000, show_default=True, type=click.IntRange(min=100), help="With --growth: reports of the full store."
)
@click.option("--teach", is_flag=True, help="With --full: memory and time of one step of teaching instead of verdicts.")
@click.option(
    "--limit-gib", type=click.FloatRange(min=0.5), help="With --full: the kernel gives this process no more address space than so many GiB."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line instead of the card.")
@click.pass_context
def command(
    ctx: click.Context,
    station: str,
    frames: int,
    rate: float,
    size: str,
    no_broker: bool,
    keep_budget: bool,
    log_alone: bool,
    growth: bool,
    sizes: bool,
    rows: int,
    full: str | None,
    precision: str,
    reports: int,
    teach: bool,
    limit_gib: float | None,
    as_json: bool,
) -> None:
    """Measure STATION: capture to committed row and to the broker's acknowledgement, throttled and flat out, split into stages.

    Pictures are those of the station's folder camera. A broker of its own is started (mosquitto, else amqtt). Where the station has a
    budget, a stage that takes more than that ends with exit code 1. docs/performance.md explains every line.
    """
    root: Path = ctx.obj
    if full is not None:
        bench_full(root, full, precision, min(frames, 5), limit_gib=limit_gib, teach=teach, as_json=as_json)
        return
    if teach or limit_gib is not None:
        raise click.UsageError("--teach and --limit-gib measure a full MiniCPM-V: name it with --full")
    if log_alone:
        bench_log_alone(root, rows, max(frames, 1000), as_json=as_json)
    elif growth:
        bench_growth(root, station, (reports, rows), picture_size(size), as_json=as_json)
    elif sizes:
        bench_sizes(root, station, as_json=as_json)
    else:
        wanted = Wanted(station, frames, rate, size, with_broker=not no_broker, keeps_budget=keep_budget)
        ctx.exit(0 if bench_station(root, wanted, as_json=as_json) else 1)
