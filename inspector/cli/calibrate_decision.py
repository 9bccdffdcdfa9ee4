"""``inspector calibrate decision``: fit temperature and thresholds of a product, or say why nothing can be promised."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector.cli.data_options import DataChoice, data_options
from inspector.core.decision_calibration import DecisionCalibration
from inspector.errors import CalibrationError
from inspector.settings import StationSettings, read_station

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inspector.training.decision_fit.evidence import Evidence
    from inspector.training.decision_fit.fit import Fitted, Refused, Wish
    from inspector.training.decision_fit.words import Basis
    from inspector.training.picture import Picture

_ESCAPE = click.FloatRange(0.0001, 0.5)
_CONFIDENCE = click.FloatRange(0.5, 0.9999)


@click.command("decision")
@click.argument("station")
@data_options()
@click.option("--product", help="Product of the pictures. Default: the station's.")
@click.option("--max-escape", type=_ESCAPE, default=0.01, show_default=True, help="Largest share of defective parts that may pass.")
@click.option("--max-review", type=click.FloatRange(0.0, 1.0), help="Largest share of these pictures that may go to review.")
@click.option("--confidence", type=_CONFIDENCE, default=0.9, show_default=True, help="Probability with which the promise holds.")
@click.option("--fresh", is_flag=True, help="The model's training saw none of these pictures: use all of them, not val alone.")
@click.pass_obj
def subject(
    root: Path,
    station: str,
    data: DataChoice,
    product: str | None,
    max_escape: float,
    max_review: float | None,
    confidence: float,
    fresh: bool,
) -> None:
    """Fit temperature and thresholds of STATION on the labelled pictures in val, and write them into its decision.toml.

    Says what can be promised about missed defects, on what grounds and at which price. Where the pictures are too few for the promise
    it says how many are needed, writes nothing and exits with 1. docs/calibrate.md explains what the promise means.
    """
    from inspector.training.decision_fit.fit import Wish  # noqa: PLC0415 - quick --help

    settings = read_station(root / "calibration" / station)
    product = known_product(settings, product)
    labels = settings.products[product].label_set()
    labelled = data.read(labels, split=None if fresh else "val", needed=())
    evidence, model = _judged(settings, root, product, labelled.pictures)
    missing = [name for place, name in enumerate(labels.names) if place not in evidence.truths]
    for name in missing:
        click.echo(f"note: there is no picture of {name}: nothing is promised about it", err=True)
    wish = Wish(max_escape, confidence, max_review)
    fitted, lines = _fitted(evidence, wish, f"{station}: {product}")
    calibration = calibration_of(fitted, wish, len(evidence), model)
    story = [f"Fitted by inspector calibrate decision on {labelled.data_hash[:12]} ({data.folder.name}).", *lines]
    story += [f"No picture of {name}: nothing is promised about it." for name in missing]
    _write(settings, product, calibration, story)
    click.echo("\n".join(lines))
    _tell_overruled(settings, calibration)
    click.echo(f"written: {settings.folder / 'decision.toml'} [{product}]; a running station takes it over with its next reload or start")


def known_product(settings: StationSettings, product: str | None) -> str:
    """Return the product that was named, or the station's. Raises ``BadParameter``."""
    chosen = product or settings.default_product
    if chosen not in settings.products:
        raise click.BadParameter(f"{chosen!r} is not one of the products {', '.join(settings.products)}", param_hint="--product")
    return chosen


def _judged(settings: StationSettings, root: Path, product: str, pictures: "Sequence[Picture]") -> "tuple[Evidence, str]":
    """Judge the pictures at temperature 1; return what was said of them and the model's name."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.progress import Progress  # noqa: PLC0415 - as above

    from inspector.daemon import open_judge  # noqa: PLC0415 - as above
    from inspector.training.decision_fit.evidence import evidence_of  # noqa: PLC0415 - as above
    from inspector.training.judged import judge  # noqa: PLC0415 - as above

    with open_judge(settings, root, use_normality=False) as pipeline, Progress(console=Console(stderr=True), transient=True) as progress:
        for line in pipeline.notes:
            progress.console.print(f"note: {line}", highlight=False)
        # Without the temperature in force: it may have been fitted on these very pictures.
        raw = replace(pipeline.products[product], decision=DecisionCalibration())
        plain = replace(pipeline, products={**pipeline.products, product: raw})
        task = progress.add_task(f"judging {len(pictures)} pictures", total=len(pictures))
        judged = judge(plain, product, pictures, settings.name, tell=lambda: progress.advance(task))
        return evidence_of(judged), pipeline.predictor.name


def _fitted(evidence: "Evidence", wish: "Wish", source: str) -> "tuple[Fitted, list[str]]":
    """Return the fit and its words. Raises ``CalibrationError`` with the reasons if nothing can be promised."""
    from inspector.training.decision_fit.fit import Refused, fit  # noqa: PLC0415 - quick --help
    from inspector.training.decision_fit.words import Basis, fitted_lines  # noqa: PLC0415 - as above

    found, basis = fit(evidence, wish), Basis.of(evidence)
    if isinstance(found, Refused):
        raise CalibrationError("\n".join([f"{source}: nothing was written", *refused(found, wish, basis, evidence.labels)]))
    return found, list(fitted_lines(found, wish, basis))


def refused(found: "Refused", wish: "Wish", basis: "Basis", labels: int) -> list[str]:
    """Return the reasons why nothing can be promised, a line each."""
    from inspector.training.decision_fit.refusal import refused_lines  # noqa: PLC0415 - quick --help

    return [f"  - {line}" for line in refused_lines(found, wish, basis, labels)]


def calibration_of(fitted: "Fitted", wish: "Wish", pictures: int, model: str) -> DecisionCalibration:
    """Return what goes into decision.toml."""
    can_pass = fitted.pass_above is not None
    return DecisionCalibration(
        temperature=fitted.temperature,
        pass_above=DecisionCalibration().pass_above if fitted.pass_above is None else fitted.pass_above,
        fail_above=fitted.fail_above,
        fitted_on=pictures,
        target_escape=wish.max_escape if can_pass else None,
        ece=None if fitted.ece is None else round(fitted.ece, 4),
        calibrated_at=datetime.now(UTC).replace(microsecond=0),
        confidence=wish.confidence if can_pass else None,
        groups=fitted.steps.groups,
        review_share=round(fitted.shares.review, 4),
        false_reject_share=round(fitted.shares.false_reject, 4),
        model=model,
    )


def _write(settings: StationSettings, product: str, calibration: DecisionCalibration, story: list[str]) -> None:
    from inspector.settings.decision_file import write_decision  # noqa: PLC0415 - quick --help

    write_decision(settings.folder, product, calibration, story)


def _tell_overruled(settings: StationSettings, calibration: DecisionCalibration) -> None:
    """Say where station.toml overrules the fit."""
    used = settings.override(calibration)
    if used.pass_above != calibration.pass_above or used.fail_above != calibration.fail_above:
        kept = "the promise holds" if used.target_escape == calibration.target_escape else "that voids the promise"
        click.echo(f"note: [decision] in station.toml overrules these thresholds; {kept}; remove it to use the fit", err=True)
