"""Learning: labelled pictures and a plan to a model, resumable, with the best weights of the run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from inspector.training.build import Encode, Pools, plan_key, pools_of
from inspector.training.edge_model import EdgeModel, Visit
from inspector.training.evaluate import score
from inspector.training.picture import Picture
from inspector.training.recipe import Recipe
from inspector.training.tower import Trunk
from inspector.training.train import Check, Source, train
from inspector.training.visits import LotVisits, Pool, PositionVisits
from inspector.vlm.checkpoint import Checkpoint

MOST_CHECKED = 400
"""Pictures that are looked at during training; the numbers at the end are of all of them."""
_BATCH = 16


@dataclass(frozen=True, slots=True)
class Start:
    """What training begins with."""

    checkpoint: Checkpoint
    """The station's model so far."""
    trunk: Trunk
    """Its lower tower."""
    model: EdgeModel
    """Its learning parts."""


def station_pools(start: Start, recipe: Recipe, pictures: Sequence[Picture], encode: Encode, work: Path, console: Console) -> Pools:
    """Return training and checking pictures with everything precomputed. ``recipe`` has one product."""
    product = next(iter(recipe.products.values()))
    train_side, val = ([picture for picture in pictures if picture.split == split] for split in ("train", "val"))
    sides = train_side, some(val, recipe.seed, MOST_CHECKED)
    return pools_of(product, recipe, sides, pictures, start.trunk, start.checkpoint.tokenizer(), encode, work, console)


def learn(start: Start, recipe: Recipe, pools: Pools, work: Path, console: Console) -> EdgeModel:
    """Train from ``start`` and return the best weights; a run that was stopped goes on where it was."""
    product = next(iter(recipe.products.values()))
    if recipe.deep:
        start.model.trunk = start.trunk
    visits = (PositionVisits if product.has_times else LotVisits)(pools.train)
    # How much time is left is no part of what is learnt: a run that goes on has spent less on features.
    key = plan_key(recipe.model_copy(update={"limit_s": math.inf}), {"product": pools})
    state = work / f"{start.checkpoint.revision}-{key}.state.pt"
    check: Check[EdgeModel] = Check(_every(recipe, pools), lambda model: _measure(model, pools.val))
    return train(start.model, {"product": Source(visits, 1.0)}, recipe, state, console, check)


def _every(recipe: Recipe, pools: Pools) -> int:
    """Return the steps between two looks: about twice an epoch, never less than 30 steps."""
    return max(len(pools.train.pictures) // (2 * recipe.visits * recipe.visit_size), 30)


def _measure(model: EdgeModel, pool: Pool) -> tuple[float, ...]:
    """Return macro-F1 rounded to half a percent, then the negative log-likelihood with its sign turned, both without reports."""
    rows = []
    for first in range(0, len(pool.pictures), _BATCH):
        members = np.arange(first, min(first + _BATCH, len(pool.pictures)))
        nothing = torch.zeros(0, pool.vectors.shape[2])
        rows.append(model.log_posterior(Visit(pool.prompts[0], nothing, pool.seen(members), torch.zeros(len(members), dtype=torch.long))))
    found = score(torch.cat(rows).exp().double().numpy(), pool.targets)
    return round(found.macro_f1 * 200) / 200, -found.nll


def some(pictures: list[Picture], seed: int, most: int) -> list[Picture]:
    """Return at most ``most`` pictures, drawn by chance but in their order."""
    if len(pictures) <= most:
        return pictures
    kept = np.sort(np.random.default_rng(seed).choice(len(pictures), most, replace=False))
    return [pictures[place] for place in kept]
