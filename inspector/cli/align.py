"""``inspector align``: does a verdict follow the picture, and the reports only where the picture tells nothing? Before and now."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from inspector.cli.calibrate_decision import known_product
from inspector.cli.data_options import DataChoice, data_options
from inspector.cli.evaluate import rate_cells
from inspector.errors import InspectorError
from inspector.settings import StationSettings, read_station

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inspector.training.alignment import Alignment, Encode
    from inspector.training.picture import Picture


@click.command
@click.argument("station")
@data_options()
@click.option("--split", type=click.Choice(("val", "test")), default="val", show_default=True, help="Which pictures.")
@click.option("--product", help="Product of the pictures. Default: the station's.")
@click.option("--against", metavar="MODEL", help="Model to compare with, a folder below models/. Default: the station's previous one.")
@click.option("--most", type=click.IntRange(min=2), default=200, show_default=True, help="Pictures at most, evenly chosen.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Where the picture goes. Default: var/STATION/align/align.png."
)
@click.option("--json", "as_json", is_flag=True, help="Print the JSON document alone.")
@click.pass_obj
def command(
    root: Path,
    station: str,
    *,
    data: DataChoice,
    split: Literal["val", "test"],
    product: str | None,
    against: str | None,
    most: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Swap picture or reports beside labelled pictures of STATION and see whether the answer changes when it should, and only then.

    Every picture is judged beside reports about its own label, then with one thing exchanged. What does otherwise than it should is an
    alignment fault: the model believes a report against the picture, or does not read it. docs/align.md says how to read the numbers.
    """
    settings = read_station(root / "calibration" / station)
    product = known_product(settings, product)
    labelled = data.read(settings.products[product].label_set(), split=split, needed=())
    pictures = _some(labelled.of(split), most)
    models = [*_before(settings, against), settings.model.checkpoint]
    found = [_aligned(settings, root, product, pictures, model) for model in models]
    place = _drawn(
        out or root / "var" / station / "align" / "align.png", found, f"{station}: {product}, {len(pictures)} pictures of {split}"
    )
    document = {"station": station, "product": product, "split": split, "data": f"{data.folder.name} ({labelled.data_hash[:12]})"}
    if as_json:
        click.echo(json.dumps({**document, "models": [alignment.to_dict() for alignment in found]}, ensure_ascii=False))
        return
    _tell(found, product, len(pictures))
    click.echo(f"picture: {place}")


def _some(pictures: "Sequence[Picture]", most: int) -> "list[Picture]":
    """Return at most so many pictures, evenly over their order."""
    step = max(len(pictures) / most, 1.0)
    return [pictures[int(place * step)] for place in range(int(len(pictures) / step))]


def _before(settings: StationSettings, against: str | None) -> list[str]:
    """Return the model to compare with, if there is one."""
    from inspector.vlm.model_history import neighbour, read_history  # noqa: PLC0415 - quick --help

    before = against or neighbour(read_history(settings.folder), settings.model.checkpoint, forward=False)
    return [] if before is None or before == settings.model.checkpoint else [before]


def _aligned(settings: StationSettings, root: Path, product: str, pictures: "Sequence[Picture]", model: str) -> "Alignment":
    """Judge with one model, with progress on stderr."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.progress import Progress  # noqa: PLC0415 - as above

    from inspector.daemon import open_judge  # noqa: PLC0415 - as above
    from inspector.training.alignment import align, crops_of, judgements  # noqa: PLC0415 - as above

    used = settings.model_copy(update={"model": settings.model.model_copy(update={"checkpoint": model})})
    with ExitStack() as parts:
        pipeline = parts.enter_context(open_judge(used, root, use_reports=False, use_normality=False))
        progress = parts.enter_context(Progress(console=Console(stderr=True), transient=True))
        encode = _encode(used, root, model)
        if encode is None:
            progress.console.print(f"note: {pipeline.predictor.name} reads no reports here: swaps of reports say nothing", highlight=False)
        task = progress.add_task(f"{model}: swapping", total=len(pictures) * (1 + judgements(encode is not None)))
        step = lambda: progress.advance(task)  # noqa: E731 - one line says it
        crops = crops_of(pipeline, product, pictures, settings.name, step)
        return align(pipeline.predictor, crops, encode, settings.reports.max_reports, step)


def _encode(settings: StationSettings, root: Path, model: str) -> "Encode | None":
    """Return what encodes reports for a model, None if it reads none. Raises ``CheckpointError`` if it reads those of another encoder."""
    from inspector.vlm.encoder import open_encoder  # noqa: PLC0415 - quick --help
    from inspector.vlm.opening import open_any  # noqa: PLC0415 - as above

    checkpoint = open_any(root / "models" / model, settings.model)
    if not settings.reports.max_reports or not checkpoint.encoder:
        return None
    encoder = open_encoder(settings.encoder, root / "models")
    checkpoint.refuse_other_encoder(encoder.revision)
    return encoder.encode


def _drawn(path: Path, found: "list[Alignment]", title: str) -> Path:
    from inspector.training.alignment_figure import draw_alignment  # noqa: PLC0415 - quick --help

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_alignment(path, found, title)
    except OSError as error:
        raise InspectorError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def _tell(found: "list[Alignment]", product: str, count: int) -> None:
    """Print a row a swap, and some of the faults of the model now."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.markup import escape  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415 - as above

    from inspector.training.alignment import SWAPS  # noqa: PLC0415 - as above

    heads = ["before", "now"][-len(found) :]
    table = Table("exchanged", "the answer should", *heads, title=f"{product}: {count} pictures, share of answers that did as they should")
    for swap in SWAPS:
        cells = [_with_interval(alignment, swap.name) for alignment in found]
        table.add_row(swap.words, swap.should, *cells)
    console = Console()
    console.print(table)
    for head, alignment in zip(heads, found, strict=True):
        console.print(f"{head}: {escape(alignment.model)}", highlight=False)
    for swap in SWAPS:
        held = found[-1].swaps.get(swap.name)
        for line in held.faults[:3] if held else ():
            console.print(f"  {swap.name}: {escape(line)}", highlight=False)


def _with_interval(alignment: "Alignment", name: str) -> str:
    held = alignment.swaps.get(name)
    if held is None or not held.n:
        return "-"
    value, interval = rate_cells(held.rate)
    return f"{value} ({interval}), n {held.n}"
