"""``inspector train STATION``: labelled pictures of a product in, a model of the station's own in place, its worth told in plain words."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inspector.cli.calibrate_decision import calibration_of, known_product, refused
from inspector.cli.data_options import DataChoice
from inspector.cli.evaluate import facts_of, tell
from inspector.core.decision_calibration import DecisionCalibration
from inspector.errors import CheckpointError
from inspector.settings import StationSettings, read_station

if TYPE_CHECKING:
    from rich.console import Console

    from inspector.training.build import Encode
    from inspector.training.decision_fit.fit import Wish as Promise
    from inspector.training.judged import Judged
    from inspector.training.labelled_folder import Labelled
    from inspector.training.station_model.plan import Wish
    from inspector.vlm.checkpoint import Checkpoint
    from inspector.vlm.full_checkpoint import AnyCheckpoint


def train_station(
    root: Path, station: str, data: DataChoice, product: str | None, wish: "Wish", promise: "Promise", *, with_reviewed: bool = False
) -> None:
    """Train, export, calibrate, check and install; the model in place stays until all of it has passed."""
    from rich.console import Console  # noqa: PLC0415 - quick --help

    from inspector.cli.train_full import trained_full  # noqa: PLC0415 - as above
    from inspector.edge.log import database_path  # noqa: PLC0415 - quick --help
    from inspector.training.listing.reviewed import list_reviewed  # noqa: PLC0415 - as above
    from inspector.vlm.full_checkpoint import is_full  # noqa: PLC0415 - as above

    console = Console(stderr=True)
    settings = read_station(root / "calibration" / station)
    product = known_product(settings, product)
    refuse_others(settings, product)
    work = root / "var" / station / "train"
    work.mkdir(parents=True, exist_ok=True)
    reviewed = list_reviewed(database_path(settings, root), station, product) if with_reviewed else []
    if with_reviewed:
        click.echo(f"{len(reviewed)} reviewed pictures stand beside those of {data.folder}")
    labelled = data.read(settings.products[product].label_set(), work=work, reviewed=reviewed)
    work /= labelled.data_hash[:12]  # features and state belong to these pictures: others of the same name and size are not taken for them
    trained = trained_full if is_full(root / "models" / settings.model.checkpoint) else _trained
    trained_model = trained(settings, root, product, labelled, wish, work, console)
    settle(settings, root, product, data, labelled, trained_model, promise, wish.seed, console)
    shutil.rmtree(work)  # gigabytes that nothing needs any more


def settle(
    settings: StationSettings,
    root: Path,
    product: str,
    data: DataChoice,
    labelled: "Labelled",
    trained: "tuple[AnyCheckpoint, dict[str, Any]]",
    promise: "Promise",
    seed: int,
    console: "Console",
    compare: "Callable[[Judged], dict[str, Any]]" = lambda _: {},
) -> None:
    """Calibrate a model in its work folder, tell its worth and install it; ``compare`` sees its verdicts on val and adds to the story."""
    checkpoint, shaped_by = trained
    judged, calibration, lines = _calibrated(settings, root, product, labelled, checkpoint, promise, console)
    document = _tell_worth(root, settings, product, data, labelled, judged, checkpoint)
    origin = {"seed": seed, "data_hash": labelled.data_hash, **shaped_by, "evaluation": document, **compare(judged)}
    (checkpoint.folder / "training.json").write_text(json.dumps(origin, indent=2) + "\n", encoding="utf-8")
    for line in lines:
        click.echo(line)
    story = [f"Fitted together with {checkpoint.name} on {labelled.data_hash[:12]} ({data.folder.name}).", *lines]
    _install(root, settings, product, checkpoint, calibration, story)


def refuse_others(settings: StationSettings, product: str) -> None:
    """Raise if the model judges other products too: their pictures are not there to keep what was learnt of them."""
    others = [name for name in settings.products if name != product]
    if others:
        raise CheckpointError(
            f"{settings.folder / 'station.toml'}: training on {product} would change how {', '.join(others)} is judged, and no pictures"
            " are here to prevent it; give each product a station of its own"
        )


def _trained(
    settings: StationSettings, root: Path, product: str, labelled: "Labelled", wish: "Wish", work: Path, console: "Console"
) -> "tuple[Checkpoint, dict[str, Any]]":
    """Return the new checkpoint, which lies in the work folder, and what shaped it: recipe, and how it compares with a plain classifier."""
    import torch  # noqa: PLC0415 - quick --help

    from inspector.training.graph_weights import model_of  # noqa: PLC0415 - as above
    from inspector.training.station_model.finishing import Trained, finish  # noqa: PLC0415 - as above
    from inspector.training.station_model.learning import Start, compare, learn, learn_to_see, station_pools  # noqa: PLC0415 - as above
    from inspector.training.station_model.plan import (  # noqa: PLC0415 - as above
        LEAST_S,
        left_for_learning_s,
        narrowing_s,
        plan,
        product_recipe,
        seeing_share,
        with_learnt_tower,
    )

    began_s, section = time.monotonic(), settings.products[product]
    checkpoint, encode = opened_edge(settings, root)
    wanted = product_recipe(section.label_set(), section.description or product, section.symmetry, labelled.pictures)
    recipe = planned = plan(wanted, f"{settings.name}-{product}", labelled.of("train"), wish, settings.reports.max_reports)
    torch.manual_seed(wish.seed)
    start = Start(checkpoint, *model_of(checkpoint))
    pools = station_pools(start, recipe, labelled.pictures, encode, work, console)
    limit_s = left_for_learning_s(wish, time.monotonic() - began_s, len(labelled.of("val")))
    began_s = time.monotonic()
    teacher = learn_to_see(start, recipe.model_copy(update={"limit_s": seeing_share(recipe) * limit_s}), pools, work, console)
    if recipe.deep:  # the tower is another one now, and has learnt all it will
        recipe = with_learnt_tower(recipe, labelled.of("train"), wish)
        pools = station_pools(start, recipe, labelled.pictures, encode, work, console)
    left_s = max(limit_s - (time.monotonic() - began_s), LEAST_S)
    model = learn(start, recipe.model_copy(update={"limit_s": left_s}), pools, work, console, teacher=teacher)
    seen = {"plain classifier": compare(teacher, pools), "language model": compare(model, pools)}
    for name, found in seen.items():
        console.log(f"{name} on {found.n} pictures of val, without reports: accuracy {found.accuracy:.4f}, macro-F1 {found.macro_f1:.4f}")
    shaped_by = {"recipe": planned.model_dump(mode="json", exclude={"limit_s"}), "comparison": {n: s.to_dict() for n, s in seen.items()}}
    return finish(work / "fresh", Trained(start, model, recipe, product, pools), console, narrowing_s(wish)), shaped_by


def opened_edge(settings: StationSettings, root: Path) -> "tuple[Checkpoint, Encode]":
    """Return the station's model and its report encoder, before the first minute is spent. Raises ``CheckpointError``."""
    import numpy as np  # noqa: PLC0415 - quick --help

    from inspector.vlm.checkpoint import open_checkpoint  # noqa: PLC0415 - as above
    from inspector.vlm.encoder import open_encoder  # noqa: PLC0415 - as above

    checkpoint = open_checkpoint(root / "models" / settings.model.checkpoint)
    if not settings.reports.max_reports:
        return checkpoint, lambda texts: np.zeros((len(texts), checkpoint.report_width), np.float32)
    encoder = open_encoder(settings.encoder, root / "models")
    checkpoint.refuse_other_encoder(encoder.revision)
    return checkpoint, encoder.encode


def _calibrated(
    settings: StationSettings,
    root: Path,
    product: str,
    labelled: "Labelled",
    checkpoint: "AnyCheckpoint",
    promise: "Promise",
    console: "Console",
) -> "tuple[Judged, DecisionCalibration, list[str]]":
    """Judge val as the station will; return that, what goes into decision.toml, and its words."""
    from rich.progress import Progress  # noqa: PLC0415 - quick --help

    from inspector.daemon import open_judge  # noqa: PLC0415 - as above
    from inspector.training.decision_fit.evidence import deciding, evidence_of  # noqa: PLC0415 - as above
    from inspector.training.decision_fit.fit import Refused, fit  # noqa: PLC0415 - as above
    from inspector.training.decision_fit.temperature import fit_temperature  # noqa: PLC0415 - as above
    from inspector.training.decision_fit.words import Basis, fitted_lines  # noqa: PLC0415 - as above
    from inspector.training.judged import judge  # noqa: PLC0415 - as above

    fresh = settings.model_copy(update={"model": settings.model.model_copy(update={"checkpoint": str(checkpoint.folder.resolve())})})
    pictures = labelled.of("val")
    with open_judge(fresh, root, use_normality=False) as pipeline, Progress(console=console, transient=True) as progress:
        task = progress.add_task(f"judging {len(pictures)} pictures", total=2 * len(pictures))

        def judged_with(decision: DecisionCalibration) -> "Judged":
            chosen = replace(pipeline.products[product], decision=decision)
            with_it = replace(pipeline, products={**pipeline.products, product: chosen})
            return judge(with_it, product, pictures, settings.name, tell=lambda: progress.advance(task))

        evidence = evidence_of(judged_with(DecisionCalibration()))
        found, basis, model = fit(evidence, promise), Basis.of(evidence), pipeline.predictor.name
        if isinstance(found, Refused):
            temperature = fit_temperature(deciding(evidence), evidence.truths[evidence.is_judged])
            calibration = DecisionCalibration(temperature=temperature, fitted_on=len(evidence), model=model, calibrated_at=_now())
            lines = ["Nothing is promised about missed defects:", *refused(found, promise, basis, evidence.labels)]
        else:
            calibration, lines = calibration_of(found, promise, len(evidence), model), list(fitted_lines(found, promise, basis))
        return judged_with(settings.override(calibration)), calibration, lines


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _tell_worth(
    root: Path,
    settings: StationSettings,
    product: str,
    data: DataChoice,
    labelled: "Labelled",
    judged: "Judged",
    checkpoint: "AnyCheckpoint",
) -> dict[str, Any]:
    """Print the numbers, write the page and return the document."""
    from inspector.training.evaluation import write_evaluation  # noqa: PLC0415 - quick --help

    facts = facts_of(settings, product, "val", data, labelled, f"{checkpoint.name}@{checkpoint.revision}")
    folder = root / "var" / settings.name / "evaluate"
    measures, document = write_evaluation(folder, judged, facts)
    tell(measures, facts)
    click.echo(f"page: {folder / 'evaluation.html'}")
    return document


def _install(
    root: Path, settings: StationSettings, product: str, checkpoint: "AnyCheckpoint", calibration: DecisionCalibration, story: list[str]
) -> None:
    """Put the model and its thresholds in place."""
    from inspector.settings.decision_file import write_decision  # noqa: PLC0415 - quick --help
    from inspector.settings.normality_files import NORMALITY_FILE  # noqa: PLC0415 - as above
    from inspector.vlm.model_store import install  # noqa: PLC0415 - as above

    had_normality = (settings.folder / NORMALITY_FILE).is_file()
    installed = install(root, settings.folder, checkpoint.folder, lambda: write_decision(settings.folder, product, calibration, story))
    click.echo(f"in place: models/{installed.checkpoint}; start {settings.name} anew to use it")
    if had_normality:
        click.echo(f"normality of the model before is off now: inspector calibrate normality {settings.name} fits it again")
    click.echo(f"the model before: {installed.previous}; inspector models rollback {settings.name} returns to it")
