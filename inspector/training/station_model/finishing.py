"""Finishing: a trained model to a checkpoint folder whose graphs answer as it does."""

from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console

from inspector.errors import CheckpointError
from inspector.training.build import Pools
from inspector.training.edge_model import EdgeModel
from inspector.training.evaluate import context_of, histories
from inspector.training.export import export_checkpoint
from inspector.training.freeze import Candidate, freeze
from inspector.training.picture import read_rgb
from inspector.training.recipe import Recipe
from inspector.training.station_model.learning import Start
from inspector.vlm.checkpoint import Checkpoint, open_checkpoint
from inspector.vlm.onnx_predictor import OnnxPredictor
from inspector.vlm.parity import open_gate, summary

_SOURCE = "float32 torch model as trained, before export and quantisation"
_OFFERED = 200
"""Pictures of val among which the frozen set is chosen."""


def finish(folder: Path, start: Start, model: EdgeModel, recipe: Recipe, product: str, pools: Pools, console: Console) -> Checkpoint:
    """Write the checkpoint with its frozen set and return it. Weights are int8, or float32 if rounding would change too much.

    Raises ``CheckpointError`` if even the float32 graphs answer otherwise than their source.
    """
    candidates, tokenizer, encoder = _candidates(recipe, product, pools), start.checkpoint.tokenizer(), start.checkpoint.encoder

    def exported(precision: Literal["int8", "float32"]) -> Checkpoint:
        export_checkpoint(
            folder, recipe.name, start.trunk, model, tokenizer, side=recipe.image_px, encoder=encoder, precision=precision
        )  # fmt: skip
        freeze(folder, start.trunk, model, candidates, _SOURCE)
        checkpoint = open_checkpoint(folder)
        gate = open_gate(checkpoint, None)
        compared = gate.judge(OnnxPredictor(checkpoint))
        console.log(f"{precision} graphs against the model as trained: {summary(compared)}")
        gate.refuse(compared)
        return checkpoint

    try:
        return exported("int8")
    except CheckpointError:
        console.log("rounding the weights to 8 bits changes too much: they stay in 32 bits, which is slower and takes more memory")
        return exported("float32")


def _candidates(recipe: Recipe, product: str, pools: Pools) -> list[Candidate]:
    """Return pictures of val, without reports, evenly chosen."""
    section, pool = next(iter(recipe.products.values())), pools.val
    places = np.linspace(0, len(pool.pictures) - 1, min(_OFFERED, len(pool.pictures))).astype(int)
    none = histories([np.empty(0, np.int64)] * len(pool.pictures), pool)
    return [
        Candidate(
            pool.pictures[place].path.stem, read_rgb(pool.pictures[place].path), context_of(product, section.description, pool, place, none)
        )
        for place in places
    ]
