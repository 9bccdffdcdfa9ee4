"""The card of ``inspector bench STATION --growth``."""

import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import click

from inspector.errors import CheckpointError


def bench_growth(root: Path, station: str, most: tuple[int, int], size: tuple[int, int] | None, *, as_json: bool) -> None:
    """Measure how a verdict's time grows, up to ``most`` reports and rows of the log, and print it."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.table import Table  # noqa: PLC0415 - as above

    from inspector.bench.growth import Growth, in_labels, in_regions, in_reports  # noqa: PLC0415 - as above
    from inspector.bench.log import bench_log  # noqa: PLC0415 - as above
    from inspector.bench.machine import machine  # noqa: PLC0415 - as above
    from inspector.bench.pictures import read_frames, resized  # noqa: PLC0415 - as above
    from inspector.bench.roofline import context_of  # noqa: PLC0415 - as above
    from inspector.daemon import open_judge  # noqa: PLC0415 - as above
    from inspector.settings import read_station  # noqa: PLC0415 - as above
    from inspector.vlm.onnx_predictor import OnnxPredictor  # noqa: PLC0415 - as above

    settings, place = read_station(root / "calibration" / station), root / "var"
    place.mkdir(exist_ok=True)
    console, frame = Console(stderr=True), resized(replace(read_frames(settings)[0], recorded_at=None), size)
    with open_judge(settings, root) as pipeline, tempfile.TemporaryDirectory(prefix="bench-", dir=place) as scratch:
        if not isinstance(pipeline.predictor, OnnxPredictor):
            raise CheckpointError(f"station {station} has a full MiniCPM-V; its cost is measured with inspector bench --full")
        images, fault = pipeline.cut(replace(frame, grabbed_ns=time.monotonic_ns()))
        if fault:
            raise CheckpointError(f"the first picture of station {station} cannot be judged: {fault}")
        image, context = images[0][1], context_of(pipeline, frame)
        console.print("regions and labels")
        grown = [in_regions(pipeline.predictor, image, context), in_labels(pipeline.predictor, image, context)]
        console.print("reports: filling stores")
        sizes = [max(most[0] // share, 1) for share in (100, 10, 1)]
        grown += in_reports(Path(scratch), pipeline.predictor.checkpoint.report_width, settings.reports, sizes)
        console.print(f"log: filling {most[1]:,} rows")
        empty, full = bench_log(Path(scratch), most[1], 1000)
        commits = (empty.commit_p50_ms, full.commit_p50_ms)
        grown.append(Growth("commit of verdict and message, by the clock", "rows in the log", (empty.rows, full.rows), commits))
    if as_json:
        click.echo(json.dumps({"station": station, **machine(), "growth": [one.to_dict() for one in grown]}))
        return
    table = Table("what", "grows", "median, ms of CPU", "last / first", title=f"growth, load {machine()['load']}")
    for one in grown:
        cells = "  ".join(f"{size:,}: {value:g}" for size, value in zip(one.sizes, one.p50_ms, strict=True))
        table.add_row(one.what, one.of, cells, f"{one.factor:.2f}")
    Console().print(table)
