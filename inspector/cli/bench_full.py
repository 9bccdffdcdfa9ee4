"""The card of ``inspector bench --full``."""

import json
import multiprocessing
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import click


def bench_full(root: Path, full: str, precision: str, verdicts: int, *, as_json: bool) -> None:
    """Measure a folder below models/, or true sizes with random weights where ``full`` is a model type."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.table import Table  # noqa: PLC0415 - as above

    from inspector.bench.full import FREE_TOKENS, measure_full, write_true_shape  # noqa: PLC0415 - as above
    from inspector.bench.machine import machine  # noqa: PLC0415 - as above
    from inspector.settings import ModelSection  # noqa: PLC0415 - as above
    from inspector.vlm.full_checkpoint import MODEL_TYPES  # noqa: PLC0415 - as above

    model = ModelSection.model_validate({"precision": precision, "max_batch": 1})
    console = Console(stderr=True)
    with ExitStack() as parts:
        folder = root / "models" / full
        if full in MODEL_TYPES:
            place = root / "var"
            place.mkdir(exist_ok=True)
            folder = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="bench-full-", dir=place)))
            console.print("writing random weights of true sizes")
            writer = multiprocessing.get_context("spawn").Process(target=write_true_shape, args=(str(folder), full))
            writer.start()
            writer.join()
        cost = measure_full(folder, model, verdicts, console.print)
    if as_json:
        click.echo(json.dumps({**machine(), **asdict(cost)}))
        return
    table = Table("", cost.model, title="random weights, true sizes" if full in MODEL_TYPES else str(folder))
    for title, value in (
        ("load, s", f"{cost.load_s:.1f}"),
        ("memory planned / at most used, GB", f"{cost.planned_bytes / 1e9:.1f} / {cost.peak_bytes / 1e9:.1f}"),
        ("static prefix, once, ms", f"{cost.prefix_ms:.0f}"),
        ("verdict, 448x448, median, ms", f"{cost.small_ms:.0f}"),
        *((f"  {stage}", f"{spent:.0f}") for stage, spent in cost.small_stages_ms.items()),
        ("verdict, 1920x1080 in slices, ms", f"{cost.large_ms:.0f}"),
        (f"{FREE_TOKENS} tokens of free text, 448x448, ms", f"{cost.free_text_ms:.0f}"),
        ("under 2 GiB", cost.refusal or "fits"),
    ):
        table.add_row(title, value)
    Console().print(table)
