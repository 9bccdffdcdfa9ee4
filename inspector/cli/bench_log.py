"""The card of ``inspector bench --log``."""

import json
from pathlib import Path

import click


def bench_log_alone(root: Path, rows: int, cycles: int, *, as_json: bool) -> None:
    """Measure the log alone, on the disk that holds the stations' logs, and print it."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.progress import Progress  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415 - as above

    from inspector.bench.log import bench_log  # noqa: PLC0415 - as above
    from inspector.bench.machine import machine  # noqa: PLC0415 - as above

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
