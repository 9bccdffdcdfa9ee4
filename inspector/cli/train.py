"""``inspector train``: a model for a station from labelled pictures, or a whole checkpoint from a recipe."""

from importlib.util import find_spec
from pathlib import Path

import click

from inspector.cli.data_options import DataChoice, data_options
from inspector.errors import CheckpointError

_OF_RECIPE = "Only with a recipe: "


@click.command
@click.argument("station")
@data_options()
@click.option("--product", help="Product of the pictures. Default: the station's.")
@click.option(
    "--minutes", type=click.FloatRange(min=1.0), default=15.0, show_default=True, help="How long it may take; more pictures need more time."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@click.option(
    "--max-escape",
    type=click.FloatRange(0.0001, 0.5),
    default=0.01,
    show_default=True,
    help="Largest share of defective parts that may pass.",
)
@click.option(
    "--confidence", type=click.FloatRange(0.5, 0.9999), default=0.9, show_default=True, help="Probability with which that promise holds."
)
@click.option("--reviewed", is_flag=True, help="Learn from the pictures, too, that people have reviewed on the dashboard.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help=_OF_RECIPE + "where the checkpoint goes.")
@click.option("--work", type=click.Path(file_okay=False, path_type=Path), help=_OF_RECIPE + "folder for base weights and features.")
@click.option(
    "--start",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=_OF_RECIPE + "saved state of an earlier run to begin with (.state.pt).",
)
@click.option("--steps", type=click.IntRange(min=1), help=_OF_RECIPE + "optimiser steps.")
@click.pass_obj
def command(
    root: Path,
    station: str,
    data: DataChoice,
    product: str | None,
    minutes: float,
    seed: int,
    max_escape: float,
    confidence: float,
    reviewed: bool,
    out: Path | None,
    work: Path | None,
    start: Path | None,
    steps: int | None,
) -> None:
    """Teach STATION to judge a product from labelled pictures, say what its verdicts are then worth, and put the new model in place.

    Teaches the kind of model that the station uses: inspector-edge, or a full MiniCPM-V by LoRA adapters (docs/full-model.md).

    A run that was stopped goes on where it was. The model in use stays until the new one has been measured and found to answer on this
    machine as it did in training; inspector models rollback returns to it. With a recipe (a .toml file) in STATION's place, builds the
    whole checkpoint that the recipe describes.
    """
    # Asked for here, so that what is missing is told before the first minute.
    missing = [package for package in ("accelerate", "gguf", "peft", "scipy", "sklearn") if find_spec(package) is None]
    if missing:
        raise CheckpointError(f"training needs the packages {', '.join(missing)}; install: pip install 'qc-inspector[train]'")
    if station.endswith(".toml"):
        if reviewed:
            raise click.UsageError("--reviewed speaks of a station's log; a recipe has none")
        _build(root, Path(station), data.folder, out, work, start, steps)
        return
    if given := [f"--{name}" for name, value in (("out", out), ("work", work), ("start", start), ("steps", steps)) if value is not None]:
        raise click.UsageError(f"{', '.join(given)}: only with a recipe (a .toml file); a station's model has its place")
    from inspector.cli.train_station import train_station  # noqa: PLC0415 - quick --help
    from inspector.training.decision_fit.fit import Wish as Promise  # noqa: PLC0415 - as above
    from inspector.training.station_model.plan import Wish  # noqa: PLC0415 - as above

    train_station(root, station, data, product, Wish(minutes, seed), Promise(max_escape, confidence), with_reviewed=reviewed)


def _build(root: Path, recipe: Path, data: Path, out: Path | None, work: Path | None, start: Path | None, steps: int | None) -> None:
    """Build the checkpoint that a recipe describes."""
    from rich.console import Console  # noqa: PLC0415 - quick --help

    from inspector.training.build import build  # noqa: PLC0415 - torch only where it is needed
    from inspector.training.recipe import read_recipe  # noqa: PLC0415 - as above

    plan = read_recipe(recipe)
    if steps is not None:
        plan = plan.model_copy(update={"steps": steps})
    build(plan, data, out or recipe.parent, work or root / "var" / "train", Console(), start=start)
