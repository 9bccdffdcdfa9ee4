"""``inspector calibrate normality``: fit what good parts look like, from good pictures alone, or say what a fit would catch."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from inspector.cli.data_options import DataChoice, data_options
from inspector.core.normality import NormalityCalibration, PatchMemory
from inspector.errors import CalibrationError, CheckpointError, DataError
from inspector.settings import StationSettings, read_station, write_normality

if TYPE_CHECKING:
    from rich.progress import Progress

    from inspector.training.normality_fit.fit import Fitted, GoodPictures
    from inspector.training.picture import Picture

_CONFIDENCE = 0.9
"""With which the share of reviews of this very fit is told."""


@click.command("normality")
@click.argument("station")
@data_options(required=False, loose=True)
@click.option("--product", help="Product of the pictures. Default: the station's.")
@click.option(
    "--keep", type=click.FloatRange(0.5, 0.9999), default=0.99, show_default=True, help="Share of good parts that is not sent to review."
)
@click.option("--check", is_flag=True, help="Write nothing: fit on train alone and say what it catches in val, defects included.")
@click.pass_obj
def subject(root: Path, station: str, data: DataChoice | None, product: str | None, keep: float, check: bool) -> None:
    """Fit what good parts of STATION look like on good pictures alone, and write it into the station's normality.toml.

    From then on a part that would pass but looks unlike any good part seen goes to review. Says which share of good parts goes there too.
    Where the pictures are too few for the promise it says how many are needed, writes nothing and exits with 1.
    """
    if data is None:
        raise click.UsageError("give the pictures: --pictures FOLDER of good ones alone, or --data FOLDER of labelled ones")
    if check and data.loose:
        raise click.UsageError("--check needs defects to catch: give labelled pictures with --data FOLDER")
    settings = read_station(root / "calibration" / station)
    product = product or settings.default_product
    if product not in settings.products:
        raise click.BadParameter(f"{product!r} is not one of the products {', '.join(settings.products)}", param_hint="--product")
    labels = settings.products[product].label_set()
    if labels.good is None:
        raise CalibrationError(f"{station}: {product} has no good label, so no part can pass and there is nothing to guard; set good")
    labelled = data.read(labels, needed=())
    if check:
        _check(settings, root, product, labelled.pictures, keep)
        return
    chosen = [picture for picture in labelled.pictures if picture.label == labels.good]
    fitted, model = _fit(settings, root, product, chosen, keep)
    lines = _lines(fitted, len(chosen))
    calibration = NormalityCalibration(
        PatchMemory.of(fitted.memory),
        "",
        float(f"{fitted.limit:.6g}"),
        keep,
        fitted.groups,
        len(chosen),
        model,
        datetime.now(UTC).replace(microsecond=0),
    )
    story = [f"Fitted by inspector calibrate normality on {labelled.data_hash[:12]} ({data.folder.name}).", *lines]
    path = write_normality(settings.folder, product, fitted.memory, calibration, story)
    click.echo("\n".join(lines))
    click.echo(f"written: {path} [{product}]; a running station takes it over with its next reload or start")


def _fit(settings: StationSettings, root: Path, product: str, pictures: "Sequence[Picture]", keep: float) -> "tuple[Fitted, str]":
    """Return the fit on pictures of good parts and the model's name. Raises ``CalibrationError`` with the reason if nothing is promised."""
    from inspector.training.normality_fit.fit import FOLDS, fit, refuse_too_few  # noqa: PLC0415 - quick --help

    source = f"{settings.name}: {product}"
    try:
        refuse_too_few(len({picture.group for picture in pictures}), keep)
        with _progress() as progress:
            good, model = _look(settings, root, product, pictures, progress)
            task = progress.add_task("choosing patches", total=FOLDS + 1)
            return fit(good, keep, tell=lambda: progress.advance(task)), model
    except CalibrationError as error:
        raise CalibrationError(f"{source}: nothing was written\n  - {error}") from error


def _check(settings: StationSettings, root: Path, product: str, pictures: "Sequence[Picture]", keep: float) -> None:
    """Say what a fit on the good pictures of train catches in val."""
    from inspector.training.normality_fit.fit import Fitted, fit, remember  # noqa: PLC0415 - quick --help
    from inspector.training.normality_fit.trial import Trial  # noqa: PLC0415 - as above

    good_label = settings.products[product].good
    is_good = np.array([picture.label == good_label for picture in pictures])
    is_train = np.array([picture.split == "train" for picture in pictures])
    kinds = {"good pictures in train": is_good & is_train, "good pictures in val": is_good & ~is_train}
    kinds["defective pictures in val"] = ~is_good & ~is_train
    if missing := [name for name, mask in kinds.items() if not mask.any()]:
        raise DataError(f"{settings.name}: {product}", [f"there are no {name}; --check needs all three kinds" for name in missing])
    train, good, defective = kinds.values()
    with _progress() as progress:
        seen, model = _look(settings, root, product, pictures, progress)
        own = seen.of(train)
        try:
            fitted, refusal = fit(own, keep), None
        except CalibrationError as error:
            fitted, refusal = Fitted(remember(own.features), np.inf, keep, len(set(own.groups)), 0), str(error)
    trial = Trial(fitted.scores(seen.features[good]), fitted.scores(seen.features[defective]))
    click.echo(f"fitted on {train.sum()} good pictures of train in {fitted.groups} groups, with {model}")
    click.echo(f"seen in val: {good.sum()} good and {defective.sum()} defective pictures, none of them part of the fit")
    click.echo(f"AUROC: {trial.auroc:.3f}")
    for review in (0.01, 0.05):
        click.echo(
            f"caught with {100 * review:g} % of the good pictures in review: {100 * trial.caught(review):.1f} % of the defective ones"
        )
    if refusal is not None:
        click.echo(f"limit: none; {refusal}")
        return
    reviewed, caught = trial.beyond(fitted.limit)
    click.echo(
        f"limit {fitted.limit:.4g} for --keep {keep:g}: {100 * reviewed:.1f} % of good, {100 * caught:.1f} % of defective ones above"
    )


def _look(
    settings: StationSettings, root: Path, product: str, pictures: "Sequence[Picture]", progress: "Progress"
) -> "tuple[GoodPictures, str]":
    """Return what the vision tower sees of pictures as the station cuts them, and the model's name. Raises ``DataError``."""
    from inspector.daemon import open_judge  # noqa: PLC0415 - quick --help
    from inspector.training.judged import as_frame  # noqa: PLC0415 - as above
    from inspector.training.normality_fit.fit import GoodPictures  # noqa: PLC0415 - as above
    from inspector.vlm.onnx_predictor import OnnxPredictor  # noqa: PLC0415 - as above

    features, unfit = [], []
    # What is in force was fitted with whatever model was in use then.
    with open_judge(settings, root, use_reports=False, use_normality=False) as pipeline:
        predictor = pipeline.predictor
        if not isinstance(predictor, OnnxPredictor):
            raise CheckpointError(f"{predictor.name}: normality is fitted with inspector-edge alone; a full MiniCPM-V has none")
        task = progress.add_task(f"looking at {len(pictures)} pictures", total=len(pictures))
        for picture in pictures:
            images, fault = pipeline.cut(as_frame(picture, product, settings.name))
            if fault is None:
                found = predictor.patch_features([image for _, image in images])  # (R, h, w, C)
                features.append(found.reshape(len(found), -1, found.shape[-1]).astype(np.float16))
            else:
                unfit.append(f"{picture.path}: {fault}; remove it, or correct the station")
            progress.advance(task)
    if unfit:
        raise DataError(f"{settings.name}: {product}", unfit, [*unfit[:10], *([f"... {len(unfit) - 10} more"] if len(unfit) > 10 else [])])
    return GoodPictures(np.stack(features), tuple(picture.group for picture in pictures)), predictor.name


def _lines(fitted: "Fitted", pictures: int) -> list[str]:
    """Return a fit in plain words."""
    review, most = 1.0 - fitted.keep, fitted.largest_review(_CONFIDENCE)
    return [
        f"promise: of 1000 good parts of this kind at most {1000 * review:.3g} go to review as unlike, as long as parts look like these",
        f"  on average over such fits; for this very one the share lies below {100 * most:.2g} % with {100 * _CONFIDENCE:g} % confidence",
        f"seen on: {pictures} good pictures in {fitted.groups} groups, each scored by a memory without its own group",
        f"limit: {fitted.limit:.4g}; {fitted.beyond} of the {fitted.groups} groups lie above it themselves",
        f"memory: {len(fitted.memory)} patches. Nothing is promised about defects: how many are caught, --check measures",
    ]


def _progress() -> "Progress":
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.progress import Progress  # noqa: PLC0415 - as above

    return Progress(console=Console(stderr=True), transient=True)
