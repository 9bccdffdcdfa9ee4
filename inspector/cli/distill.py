"""``inspector distill``: a large model judges unlabelled frames, and the station's small one learns what it believes of them."""

import shutil
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inspector.cli.calibrate_decision import known_product
from inspector.cli.data_options import DataChoice, data_options
from inspector.errors import CheckpointError, DataError, LogError
from inspector.settings import StationSettings, read_station

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from inspector.pipeline import Pipeline
    from inspector.training.judged import Judged
    from inspector.training.labelled_folder import Labelled
    from inspector.training.picture import Picture
    from inspector.training.station_model.plan import Wish
    from inspector.vlm.checkpoint import Checkpoint


@click.command
@click.argument("station")
@click.option("--teacher", required=True, metavar="MODEL", help="The model that teaches: a folder below models/.")
@data_options()
@click.option(
    "--frames",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of unlabelled pictures. Default: those that the station's log has kept.",
)
@click.option("--most", type=click.IntRange(min=10), default=5000, show_default=True, help="Unlabelled frames at most, the newest.")
@click.option("--product", help="Product of the pictures. Default: the station's.")
@click.option(
    "--minutes", type=click.FloatRange(min=1.0), default=15.0, show_default=True, help="How long learning may take, after the teacher."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@click.option("--max-escape", type=click.FloatRange(0.0001, 0.5), default=0.01, show_default=True, help="As of inspector train.")
@click.option("--confidence", type=click.FloatRange(0.5, 0.9999), default=0.9, show_default=True, help="As of inspector train.")
@click.pass_obj
def command(
    root: Path,
    station: str,
    *,
    teacher: str,
    data: DataChoice,
    frames: Path | None,
    most: int,
    product: str | None,
    minutes: float,
    seed: int,
    max_escape: float,
    confidence: float,
) -> None:
    """Let the TEACHER judge unlabelled frames of STATION, and teach the station's inspector-edge what it believes of them.

    Labelled pictures (--data) are needed to check with: those of val measure teacher and pupil, those of train, if there are any, are
    learnt as they are labelled. Calibration, parity gate, installation and way back are those of inspector train. A run that was stopped
    goes on.
    """
    from rich.console import Console  # noqa: PLC0415 - quick --help

    from inspector.cli.train_station import refuse_others, settle  # noqa: PLC0415 - as above
    from inspector.training.decision_fit.fit import Wish as Promise  # noqa: PLC0415 - as above
    from inspector.training.distillation import key_of  # noqa: PLC0415 - as above
    from inspector.training.station_model.plan import Wish  # noqa: PLC0415 - as above

    if missing := [package for package in ("scipy", "sklearn") if find_spec(package) is None]:
        raise CheckpointError(f"training needs the packages {', '.join(missing)}; install: pip install 'qc-inspector[train]'")
    console, settings = Console(stderr=True), read_station(root / "calibration" / station)
    product = known_product(settings, product)
    refuse_others(settings, product)
    _pupil(settings, root)
    work = root / "var" / station / "distill"
    work.mkdir(parents=True, exist_ok=True)
    labelled = data.read(settings.products[product].label_set(), needed=(), work=work)
    unlabelled = _frames(settings, root, product, frames, most, labelled, console)
    pictures, beliefs, teaching = _taught(settings, root, product, teacher, unlabelled, labelled, work, console)
    work /= f"{labelled.data_hash[:12]}-{key_of(unlabelled, teaching.inspections[0].model)}"
    wish = Wish(minutes, seed)
    learnt = _learnt(settings, root, product, (pictures, beliefs), labelled, wish, work, console)
    settle(
        settings, root, product, data, labelled, learnt, Promise(max_escape, confidence), seed, console,
        lambda judged: _side_by_side(teacher, teaching, judged, len(unlabelled)),
    )  # fmt: skip
    shutil.rmtree(work)


def _pupil(settings: StationSettings, root: Path) -> None:
    """Raise ``CheckpointError`` if the station's own model is none that can be taught this way."""
    from inspector.vlm.full_checkpoint import is_full  # noqa: PLC0415 - quick --help

    if is_full(root / "models" / settings.model.checkpoint):
        raise CheckpointError(
            f"{settings.folder / 'station.toml'}: {settings.model.checkpoint} is a full MiniCPM-V; the pupil is the station's own model,"
            ' so set model.checkpoint = "inspector-edge" and name the full model with --teacher'
        )


def _frames(
    settings: StationSettings, root: Path, product: str, folder: Path | None, most: int, labelled: "Labelled", console: "Console"
) -> "list[Picture]":
    """Return the unlabelled frames. Raises ``DataError`` or ``LogError`` if there are none."""
    from inspector.edge.log import Log, database_path  # noqa: PLC0415 - quick --help
    from inspector.training.distillation import frames_of_folder, frames_of_log, without_known  # noqa: PLC0415 - as above

    if not labelled.of("val"):
        raise DataError("--data", ["has no val pictures: without labelled pictures nothing says what teacher and pupil are worth"])
    if folder is not None:
        frames = frames_of_folder(folder)
    else:
        path = database_path(settings, root)
        if not path.is_file():
            raise LogError(f'{path}: there is no log yet; let the station run with log.keep_images = "all", or give --frames FOLDER')
        with Log(path, settings.name, read_only=True) as log:
            frames = frames_of_log(log.find(), path.parent, product)
    kept, left_out = without_known(frames[-most:], labelled.pictures, console)
    if left_out:
        click.echo(f"note: {left_out} frames cannot be read, are double or show a labelled picture; left out", err=True)
    if not kept:
        cure = "log.keep_images in station.toml says which pictures are kept" if folder is None else "name another folder with --frames"
        raise DataError(str(folder or settings.name), [f"no unlabelled frame of {product} is left to learn from; {cure}"])
    return kept


def _taught(
    settings: StationSettings,
    root: Path,
    product: str,
    teacher: str,
    frames: "list[Picture]",
    labelled: "Labelled",
    work: Path,
    console: "Console",
) -> "tuple[list[Picture], NDArray[np.float32], Judged]":
    """Let the teacher judge; return the frames with its labels, its beliefs, and its verdicts on val."""
    from rich.progress import Progress  # noqa: PLC0415 - quick --help

    from inspector.daemon import open_judge  # noqa: PLC0415 - as above
    from inspector.training.distillation import taught, untempered  # noqa: PLC0415 - as above
    from inspector.training.judged import judge  # noqa: PLC0415 - as above

    judging = settings.model_copy(update={"model": settings.model.model_copy(update={"checkpoint": teacher})})
    val = labelled.of("val")
    with open_judge(judging, root, use_normality=False) as pipeline, Progress(console=console, transient=True) as progress:
        for line in pipeline.notes:
            progress.console.print(f"note: teacher: {line}", highlight=False)
        plain: Pipeline = untempered(pipeline, product)
        task = progress.add_task(f"{teacher} judges {len(frames)} frames", total=len(frames) + len(val))
        step = lambda: progress.advance(task)  # noqa: E731 - one line says it
        memory, known = work / "beliefs.jsonl", labelled.of("train")
        pictures, beliefs = taught(plain, product, frames, settings.name, memory, labelled=known, tell=step)
        return pictures, beliefs, judge(plain, product, val, settings.name, step)


def _learnt(
    settings: StationSettings,
    root: Path,
    product: str,
    taught: "tuple[list[Picture], NDArray[np.float32]]",
    labelled: "Labelled",
    wish: "Wish",
    work: Path,
    console: "Console",
) -> "tuple[Checkpoint, dict[str, Any]]":
    """Return the pupil, which lies in the work folder, and what shaped it."""
    from dataclasses import replace  # noqa: PLC0415 - as numpy

    import numpy as np  # noqa: PLC0415 - quick --help
    import torch  # noqa: PLC0415 - as above

    from inspector.cli.train_station import opened_edge  # noqa: PLC0415 - as above
    from inspector.training.distillation import with_truths  # noqa: PLC0415 - as above
    from inspector.training.graph_weights import model_of  # noqa: PLC0415 - as above
    from inspector.training.station_model.finishing import Trained, finish  # noqa: PLC0415 - as above
    from inspector.training.station_model.learning import Start, learn, station_pools  # noqa: PLC0415 - as above
    from inspector.training.station_model.plan import left_for_learning_s, narrowing_s, plan, product_recipe, with_learnt_tower  # noqa: PLC0415 - as above

    began_s, section, (frames, beliefs) = time.monotonic(), settings.products[product], taught
    checkpoint, encode = opened_edge(settings, root)
    known = labelled.of("train")
    pictures = [*known, *frames]
    wanted = product_recipe(section.label_set(), section.description or product, section.symmetry, pictures)
    recipe = plan(wanted, f"{settings.name}-{product}", pictures, wish, settings.reports.max_reports)
    recipe = with_learnt_tower(recipe, pictures, wish)  # its teacher is the large model: the lower tower stays as it is
    torch.manual_seed(wish.seed)
    start = Start(checkpoint, *model_of(checkpoint))
    pools = station_pools(start, recipe, [*pictures, *labelled.of("val")], encode, work, console)
    all_beliefs = np.concatenate([with_truths(known, section.label_set()), beliefs])
    pools = replace(pools, train=replace(pools.train, beliefs=all_beliefs))
    limit_s = left_for_learning_s(wish, time.monotonic() - began_s, len(labelled.of("val")))
    model = learn(start, recipe.model_copy(update={"limit_s": limit_s}), pools, work, console)
    checkpoint = finish(work / "fresh", Trained(start, model, recipe, product, pools), console, narrowing_s(wish))
    return checkpoint, {"recipe": recipe.model_dump(mode="json", exclude={"limit_s"})}


def _side_by_side(teacher: str, teaching: "Judged", learnt: "Judged", frames: int) -> dict[str, Any]:
    """Print teacher and pupil side by side and return what stays of it."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.table import Table  # noqa: PLC0415 - as above

    from inspector.cli.evaluate import rate_cells  # noqa: PLC0415 - as above
    from inspector.training.distillation import median_ms  # noqa: PLC0415 - as above
    from inspector.training.measures import measure  # noqa: PLC0415 - as above

    table = Table("", "accuracy", "95 % interval", "macro-F1", "verdict, median ms", title=f"{len(learnt.pictures)} pictures of val")
    document = {}
    for name, judged in (("teacher", teaching), ("pupil", learnt)):
        measures = measure(judged)
        table.add_row(name, *rate_cells(measures.accuracy), rate_cells(measures.macro_f1)[0], f"{median_ms(judged):.0f}")
        document[name] = {
            "model": judged.inspections[0].model, "accuracy": measures.accuracy.to_dict(), "macro_f1": measures.macro_f1.to_dict(),
            "median_ms": round(median_ms(judged), 1),
        }  # fmt: skip
    Console().print(table)
    return {"distillation": {**document, "teacher_folder": teacher, "frames": frames}}
