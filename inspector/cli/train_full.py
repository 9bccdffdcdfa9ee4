"""``inspector train STATION`` where the station's model is a full MiniCPM-V: adapters and report projector learn, the result is merged."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inspector.settings import StationSettings

if TYPE_CHECKING:
    from rich.console import Console

    from inspector.training.build import Encode
    from inspector.training.labelled_folder import Labelled
    from inspector.training.station_model.plan import Wish
    from inspector.vlm.full_checkpoint import FullCheckpoint

_LOADED_S = 60.0
"""What merging and loading the result take at the end, seconds."""


def trained_full(
    settings: StationSettings, root: Path, product: str, labelled: "Labelled", wish: "Wish", work: Path, console: "Console"
) -> "tuple[FullCheckpoint, dict[str, Any]]":
    """Return the new checkpoint, which lies in the work folder, and what shaped it. Raises ``CheckpointError`` before it begins."""
    from inspector.training.full_model.learning import FullTraining  # noqa: PLC0415 - quick --help
    from inspector.training.full_model.plan import EDGE_ONLY, full_plan, refuse_too_large_to_train, training_section  # noqa: PLC0415
    from inspector.training.station_model.plan import product_recipe  # noqa: PLC0415 - as above
    from inspector.vlm.full_checkpoint import open_full  # noqa: PLC0415 - as above

    began_s, section, model = time.monotonic(), settings.products[product], training_section(settings.model)
    checkpoint = open_full(root / "models" / settings.model.checkpoint, model)
    refuse_too_large_to_train(checkpoint, model)
    encode, encoder = _encoder(settings, root, checkpoint)
    wanted = product_recipe(section.label_set(), section.description or product, section.symmetry, labelled.pictures)
    recipe = full_plan(wanted, f"{settings.name}-{product}", labelled.of("train"), wish, settings.reports.max_reports)
    training = FullTraining(checkpoint, model, recipe, encoder)
    pools = training.pools(labelled.pictures, encode, work, console)
    end_s = _LOADED_S + 2 * len(labelled.of("val")) * training.seconds_a_picture(pools.val)
    limit_s = max(60.0 * wish.minutes - (time.monotonic() - began_s) - end_s, _LOADED_S)
    training.learn(pools, limit_s, work, console)
    fresh = training.finish(settings, pools, product, work)
    if model.precision != settings.model.precision:
        click.echo(f"note: taught in {model.precision}; the gate now looks at {settings.model.precision}, the station's", err=True)
    return fresh, {"recipe": recipe.model_dump(mode="json", exclude=EDGE_ONLY)}


def _encoder(settings: StationSettings, root: Path, checkpoint: "FullCheckpoint") -> "tuple[Encode, str]":
    """Return what encodes reports, and its revision; empty for a station without reports. Raises ``CheckpointError``."""
    import numpy as np  # noqa: PLC0415 - quick --help

    from inspector.vlm.encoder import open_encoder  # noqa: PLC0415 - as above

    if not settings.reports.max_reports:
        return lambda texts: np.zeros((len(texts), 1), np.float32), ""
    encoder = open_encoder(settings.encoder, root / "models")
    checkpoint.refuse_other_encoder(encoder.revision)
    return encoder.encode, encoder.revision
