"""The card of ``inspector bench STATION --sizes``."""

import json
import tempfile
from pathlib import Path

import click

from inspector.errors import CheckpointError


def bench_sizes(root: Path, station: str, *, as_json: bool) -> None:
    """Round each part of the station's model to fewer bits and print what that costs, on the labelled pictures of its folder camera."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.table import Table  # noqa: PLC0415 - as above

    from inspector.bench.machine import machine  # noqa: PLC0415 - as above
    from inspector.bench.pictures import read_frames  # noqa: PLC0415 - as above
    from inspector.daemon import open_judge  # noqa: PLC0415 - as above
    from inspector.demo.run import true_labels  # noqa: PLC0415 - as above
    from inspector.settings import read_station  # noqa: PLC0415 - as above
    from inspector.training.size_table import measure_sizes  # noqa: PLC0415 - torch only where it is needed
    from inspector.vlm.checkpoint import open_checkpoint  # noqa: PLC0415 - as above

    settings, place, console = read_station(root / "calibration" / station), root / "var", Console(stderr=True)
    if settings.regions:
        raise CheckpointError(f"station {station} has regions; the table of sizes needs one label a picture: take a station without")
    truth, frames = true_labels(settings), read_frames(settings)
    place.mkdir(exist_ok=True)
    checkpoint = open_checkpoint(root / "models" / settings.model.checkpoint)
    with open_judge(settings, root) as pipeline, tempfile.TemporaryDirectory(prefix="bench-", dir=place) as scratch:
        lines = []
        for line in measure_sizes(checkpoint, pipeline, [frame for frame in frames if frame.frame_id in truth], truth, Path(scratch)):
            console.print(f"{line.part}, {line.precision}: {line.flips} flips")
            lines.append(line)
    if as_json:
        click.echo(
            json.dumps({"station": station, "model": pipeline.predictor.name, **machine(), "sizes": [line.to_dict() for line in lines]})
        )
        return
    table = Table("part", "weights", "part, MB", "model, MB", "RSS, MiB", "CPU, ms", "flips", "largest shift", "right",
                  title=f"{pipeline.predictor.name}, {lines[0].pictures} pictures")  # fmt: skip
    for line in lines:
        sizes = (f"{line.part_bytes / 1e6:.1f}", f"{line.whole_bytes / 1e6:.1f}", f"{line.rss_mib:.0f}", f"{line.cpu_ms:.1f}")
        table.add_row(line.part, line.precision, *sizes, str(line.flips), f"{line.shift:.3f}", f"{line.right} of {line.pictures}")
    Console().print(table)
