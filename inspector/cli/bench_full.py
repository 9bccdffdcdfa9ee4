"""The card of ``inspector bench --full``."""

import json
import multiprocessing
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from inspector.bench.full import FullCost
    from inspector.training.full_model.cost import TeachingCost


def bench_full(root: Path, full: str, precision: str, verdicts: int, *, limit_gib: float | None, teach: bool, as_json: bool) -> None:
    """Measure a folder below models/, or true sizes with random weights where ``full`` is a model type."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.table import Table  # noqa: PLC0415 - as above

    from inspector.bench.full import measure_full  # noqa: PLC0415 - as above
    from inspector.bench.machine import machine  # noqa: PLC0415 - as above
    from inspector.settings import ModelSection  # noqa: PLC0415 - as above
    from inspector.vlm.full_checkpoint import MODEL_TYPES  # noqa: PLC0415 - as above

    model = ModelSection.model_validate({"precision": precision, "max_batch": 1})
    console = Console(stderr=True)
    with _folder(root, full, console) as folder:
        _limit(limit_gib)
        if teach:
            from inspector.training.full_model.cost import measure_teaching  # noqa: PLC0415 - as above

            taught = measure_teaching(folder, model)
            name, numbers, rows = taught.model, asdict(taught), _teaching_rows(taught)
        else:
            judged = measure_full(folder, model, verdicts, console.print)
            name, numbers, rows = judged.model, asdict(judged), _rows(judged)
    limited = {} if limit_gib is None else {"limit_gib": limit_gib}
    if as_json:
        click.echo(json.dumps({**machine(), **limited, **numbers}))
        return
    title = "random weights, true sizes" if full in MODEL_TYPES else str(folder)
    table = Table("", name, title=title + (f", at most {limit_gib:g} GiB" if limited else ""))
    for row in rows:
        table.add_row(*row)
    Console().print(table)


@contextmanager
def _folder(root: Path, full: str, console: "Console") -> Iterator[Path]:
    """Yield the folder to measure; true sizes are written for the while."""
    from inspector.bench.full import write_true_shape  # noqa: PLC0415 - quick --help
    from inspector.vlm.full_checkpoint import MODEL_TYPES  # noqa: PLC0415 - as above

    if full not in MODEL_TYPES:
        yield root / "models" / full
        return
    place = root / "var"
    place.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-full-", dir=place) as folder:
        console.print("writing random weights of true sizes")
        writer = multiprocessing.get_context("spawn").Process(target=write_true_shape, args=(folder, full))
        writer.start()
        writer.join()
        yield Path(folder)


def _limit(gib: float | None) -> None:
    """Let the kernel refuse this process more address space, as ``ulimit -v`` does: stricter than a limit on what is resident."""
    import torch  # noqa: F401, PLC0415 - its libraries are mapped before the limit stands
    import transformers  # noqa: F401, PLC0415 - as above

    if gib is not None:
        limit = int(gib * (1 << 30))
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _rows(cost: "FullCost") -> list[tuple[str, str]]:
    """Return what verdicts cost, a line each."""
    from inspector.bench.full import FREE_TOKENS  # noqa: PLC0415 - quick --help

    return [
        ("load, s", f"{cost.load_s:.1f}"),
        ("memory planned / at most used, GB", f"{cost.planned_bytes / 1e9:.1f} / {cost.peak_bytes / 1e9:.1f}"),
        ("static prefix, once, ms", f"{cost.prefix_ms:.0f}"),
        ("verdict, 448x448, median, ms", f"{cost.small_ms:.0f}"),
        *((f"  {stage}", f"{spent:.0f}") for stage, spent in cost.small_stages_ms.items()),
        ("verdict, 1920x1080 in slices, ms", f"{cost.large_ms:.0f}"),
        (f"{FREE_TOKENS} tokens of free text, 448x448, ms", f"{cost.free_text_ms:.0f}"),
        ("under 2 GiB", cost.refusal or "fits"),
    ]


def _teaching_rows(cost: "TeachingCost") -> list[tuple[str, str]]:
    """Return what teaching costs, a line each."""
    return [
        ("numbers that learn, millions", f"{cost.learning / 1e6:.1f}"),
        ("memory planned / at most used, GB", f"{cost.planned_bytes / 1e9:.1f} / {cost.peak_bytes / 1e9:.1f}"),
        (f"{cost.pictures} pictures seen, once, s", f"{cost.seen_s:.1f}"),
        (f"step of {cost.pictures} pictures, s", f"{cost.step_s:.1f}"),
    ]
