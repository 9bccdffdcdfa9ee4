"""``inspector train``: build a checkpoint from a recipe and labelled pictures."""

from importlib.util import find_spec
from pathlib import Path

import click

from inspector.errors import CheckpointError


@click.command
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the products' picture folders.",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where the checkpoint goes. Default: the recipe's folder.")
@click.option(
    "--work",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for base weights, features and saved state. Default: var/train.",
)
@click.option(
    "--start", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Saved state of an earlier run to begin with (.state.pt)."
)
@click.option("--steps", type=click.IntRange(min=1), help="Optimiser steps, instead of the recipe's.")
@click.pass_obj
def command(root: Path, recipe: Path, data: Path, out: Path | None, work: Path | None, start: Path | None, steps: int | None) -> None:
    """Train, check, export and install the checkpoint that RECIPE describes.

    A run that was stopped goes on where it was. The checkpoint in place is replaced only when the new one agrees with its source.
    """
    # Asked for here, so that what is missing is told before the first minute.
    missing = [package for package in ("accelerate", "gguf", "scipy", "sklearn") if find_spec(package) is None]
    if missing:
        raise CheckpointError(f"training needs the packages {', '.join(missing)}; install: pip install 'qc-inspector[train]'")
    from rich.console import Console  # noqa: PLC0415 - as above

    from inspector.training.build import build  # noqa: PLC0415 - torch only where it is needed
    from inspector.training.recipe import read_recipe  # noqa: PLC0415 - as above

    plan = read_recipe(recipe)
    if steps is not None:
        plan = plan.model_copy(update={"steps": steps})
    build(plan, data, out or recipe.parent, work or root / "var" / "train", Console(), start=start)
