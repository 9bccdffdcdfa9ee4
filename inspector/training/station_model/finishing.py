"""Finishing: a trained model to a checkpoint folder whose graphs answer as it does, with as few bits as that allows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from inspector.errors import CheckpointError
from inspector.training.build import Pools
from inspector.training.edge_model import EdgeModel
from inspector.training.evaluate import context_of, histories
from inspector.training.export import Precision, export_checkpoint
from inspector.training.freeze import Candidate, freeze
from inspector.training.grids import Grid
from inspector.training.narrowing import narrow
from inspector.training.picture import read_rgb
from inspector.training.recipe import Recipe
from inspector.training.recipe_visits import visits_of
from inspector.training.station_model.learning import Start
from inspector.training.train import Source
from inspector.vlm.checkpoint import Checkpoint, open_checkpoint
from inspector.vlm.onnx_predictor import OnnxPredictor
from inspector.vlm.parity import open_gate, summary

_SOURCE = "float32 torch model as trained, before export and quantisation"
_OFFERED = 200
"""Pictures of val among which the frozen set is chosen."""
_NARROW_STEPS = 200
"""Steps in which a model learns to answer with 4 bits, at most."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model and what it has learnt from."""

    start: Start
    """What training began with."""
    model: EdgeModel
    """The model."""
    recipe: Recipe
    """Its recipe, of one product."""
    product: str
    """The product's name."""
    pools: Pools
    """The pictures."""


def finish(folder: Path, trained: Trained, console: Console, narrow_s: float) -> Checkpoint:
    """Write the checkpoint with its frozen set and return it. The parity gate decides how few bits its weights have: 4, 8 or 32.

    ``narrow_s`` is how long the model may learn to answer with 4 bits, seconds; 0 does not try. Raises ``CheckpointError`` if even the
    float32 graphs answer otherwise than their source.
    """
    candidates = _candidates(trained)
    if narrow_s > 0:
        try:
            return _exported(folder, trained, candidates, "int4", console, _narrowed(folder, trained, narrow_s, console))
        except CheckpointError:
            console.log("weights of 4 bits change too much: 8 bits are taken")
    try:
        return _exported(folder, trained, candidates, "int8", console)
    except CheckpointError:
        console.log("rounding the weights to 8 bits changes too much: they stay in 32 bits, which is slower and takes more memory")
        return _exported(folder, trained, candidates, "float32", console)


def _narrowed(folder: Path, trained: Trained, limit_s: float, console: Console) -> tuple[EdgeModel, Mapping[str, Grid]]:
    """Return the model as it answers with weights of 4 bits, and their grids."""
    section = next(iter(trained.recipe.products.values()))
    plan = trained.recipe.model_copy(update={"limit_s": limit_s, "steps": _NARROW_STEPS, "mixing": 0.0, "dropout": 0.0})
    sources = {"product": Source(visits_of(section, plan, trained.pools.train), 1.0)}
    return narrow(trained.model, sources, plan, folder.with_name(f"{folder.name}-narrow.state.pt"), console)


def _exported(
    folder: Path,
    trained: Trained,
    candidates: list[Candidate],
    precision: Precision,
    console: Console,
    narrowed: tuple[EdgeModel, Mapping[str, Grid]] | None = None,
) -> Checkpoint:
    """Write the checkpoint and hold it against the model as trained. Raises ``CheckpointError`` if it answers otherwise."""
    start, (model, grids) = trained.start, narrowed or (trained.model, {})
    export_checkpoint(
        folder, trained.recipe.name, start.trunk, model, start.checkpoint.tokenizer(), side=trained.recipe.image_px,
        encoder=start.checkpoint.encoder, precision=precision, grids=grids,
    )  # fmt: skip
    freeze(folder, start.trunk, trained.model, candidates, _SOURCE)
    checkpoint = open_checkpoint(folder)
    gate = open_gate(checkpoint, None)
    compared = gate.judge(OnnxPredictor(checkpoint))
    console.log(f"{precision} graphs against the model as trained: {summary(compared)}")
    gate.refuse(compared)
    return checkpoint


def _candidates(trained: Trained) -> list[Candidate]:
    """Return pictures of val, without reports, evenly chosen."""
    section, pool, product = next(iter(trained.recipe.products.values())), trained.pools.val, trained.product
    places = np.linspace(0, len(pool.pictures) - 1, min(_OFFERED, len(pool.pictures))).astype(int)
    none = histories([np.empty(0, np.int64)] * len(pool.pictures), pool)
    return [
        Candidate(
            pool.pictures[place].path.stem, read_rgb(pool.pictures[place].path), context_of(product, section.description, pool, place, none)
        )
        for place in places
    ]
