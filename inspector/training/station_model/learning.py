"""Learning: labelled pictures and a plan to a model, resumable, with the best weights of the run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from inspector.training.build import Encode, Pools, plan_key, pools_of
from inspector.training.edge_model import EdgeModel, Visit, VisitLearner
from inspector.training.evaluate import Score, score
from inspector.training.picture import Picture
from inspector.training.plain_classifier import PlainClassifier, TaughtVisits
from inspector.training.recipe import Recipe
from inspector.training.recipe_visits import visits_of
from inspector.training.renewed_norms import renew_norms
from inspector.training.report_words import label_words, speak_of_labels
from inspector.training.tower import Trunk
from inspector.training.train import Check, Source, train
from inspector.training.visits import LotVisits, Pool, Visits
from inspector.vlm.checkpoint import Checkpoint

MOST_CHECKED = 400
"""Pictures that are looked at during training; the numbers at the end are of all of them."""
LearnerT = TypeVar("LearnerT", bound=VisitLearner)
_BATCH = 16
_LOOKED_AT = 256
"""Pictures by whose statistics a tower that learns as a whole begins."""
_PROBE_SHARE, _PROBE_STEPS = 0.2, 300
"""Share of that time, and steps at most, in which only the classifier on top learns."""
_RATE, _DEEP_RATE = 1e-4, 1e-3
_TOWER_EPOCHS, _DEEP_EPOCHS = 8, 12
"""Passes over the pictures in which the upper blocks or the whole tower learn, at most. The best weights come when the rate has fallen."""
_PLAIN = {"visits": 1, "visit_size": 32, "without_reports": 1.0, "swapped_reports": 0.0, "blind_start": 0.0, "blind": 0.0, "mixing": 0.0}
"""What the recipe says of the language model does not hold for a plain classifier: it reads no reports."""


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


def learn_to_see(start: Start, recipe: Recipe, pools: Pools, work: Path, console: Console) -> PlainClassifier:
    """Teach the tower of ``start`` by a plain classifier on top of it, and return that: the teacher of what follows.

    First the classifier alone learns, then the tower with it (Kumar et al., arXiv 2202.10054); the tower as it was stays if that is better.
    """
    tower = [start.model.upper, *([start.trunk] if recipe.deep else [])]
    if recipe.deep:
        _renew(start, recipe, pools.train)
    classifier = PlainClassifier(start.model.upper, len(pools.train.labels.names), start.trunk if recipe.deep else None)
    plain = recipe.model_copy(update=_PLAIN | {"learning_rate": _DEEP_RATE if recipe.deep else _RATE})
    visits = LotVisits(replace(pools.train, dropout=recipe.dropout), even_groups=recipe.even_groups)
    tower_steps = max((_DEEP_EPOCHS if recipe.deep else _TOWER_EPOCHS) * len(pools.train.pictures) // plain.visit_size, _PROBE_STEPS)
    scores, weights = [], []
    for name, share, steps in (("top", _PROBE_SHARE, _PROBE_STEPS), ("tower", 1 - _PROBE_SHARE, tower_steps)):
        for part in tower:
            part.requires_grad_(name == "tower")
        stage = plain.model_copy(update={"name": f"{recipe.name}-{name}", "limit_s": share * recipe.limit_s, "steps": steps})
        _run(classifier, visits, stage, pools, work / start.checkpoint.revision, console)
        with torch.inference_mode():
            scores.append(_measure(classifier, pools.val))
        weights.append({name: value.clone() for name, value in classifier.state_dict().items()})
    classifier.load_state_dict(weights[scores.index(max(scores))])
    for part in tower:
        part.requires_grad_(requires_grad=False)
        part.eval()
    return classifier


def _renew(start: Start, recipe: Recipe, pool: Pool) -> None:
    """Make the norms of the whole tower ready to learn from these pictures."""
    some = np.random.default_rng(recipe.seed).permutation(len(pool.pictures))[:_LOOKED_AT]

    def look() -> None:
        for first in range(0, len(some), _BATCH):
            start.model.upper(start.trunk(pool.seen(some[first : first + _BATCH])))

    renew_norms((start.trunk, start.model.upper), look)


def learn(start: Start, recipe: Recipe, pools: Pools, work: Path, console: Console, *, teacher: PlainClassifier | None = None) -> EdgeModel:
    """Train ``start`` and return the best weights; a run that was stopped goes on where it was.

    With a ``teacher`` the tower stays as that has left it, and the teacher says what to believe of the pictures.
    """
    product = next(iter(recipe.products.values()))
    visits: Visits[Visit]
    if teacher is None:
        visits = visits_of(product, recipe.model_copy(update={"mixing": 0.0}), pools.train)
    else:
        start.model.upper.requires_grad_(requires_grad=False)
        _begin_with_reports(start, pools.train)
        visits = TaughtVisits(visits_of(product, recipe, pools.train), teacher, half=recipe.half)
    return _run(start.model, visits, recipe, pools, work / start.checkpoint.revision, console)


def _begin_with_reports(start: Start, pool: Pool) -> None:
    """Let the report projector of ``start`` name the product's labels from the first step on."""
    phrasings = pool.vectors.shape[1]
    if pool.most_reports and phrasings:
        words = label_words(start.checkpoint.tokenizer(), pool.labels.names, start.model.embedding)
        speak_of_labels(start.model.projector, words, pool.vectors.reshape(-1, pool.vectors.shape[2]), np.repeat(pool.targets, phrasings))


def compare(model: VisitLearner, pools: Pools) -> Score:
    """Return how well a model judges the checking pictures without reports."""
    with torch.inference_mode():
        return score(_judged(model, pools.val), pools.val.targets)


def _run(
    model: LearnerT,
    visits: Visits[Visit],
    recipe: Recipe,
    pools: Pools,
    states: Path,
    console: Console,
) -> LearnerT:
    """Train, with a state file of the run's own beside the others that ``states`` names."""
    # How much time is left is no part of what is learnt: a run that goes on has spent less on features.
    key = plan_key(recipe.model_copy(update={"limit_s": math.inf}), {"product": pools})
    state = states.with_name(f"{states.name}-{key}.state.pt")
    check: Check[LearnerT] = Check(_every(recipe, pools), lambda model: _measure(model, pools.val))
    return train(model, {"product": Source(visits, 1.0)}, recipe, state, console, check)


def _every(recipe: Recipe, pools: Pools) -> int:
    """Return the steps between two looks: about twice an epoch, never less than 30 steps."""
    return max(len(pools.train.pictures) // (2 * recipe.visits * recipe.visit_size), 30)


def _measure(model: VisitLearner, pool: Pool) -> tuple[float, ...]:
    """Return macro-F1 rounded to half a percent, then the negative log-likelihood with its sign turned, both without reports."""
    found = score(_judged(model, pool), pool.targets)
    return round(found.macro_f1 * 200) / 200, -found.nll


def _judged(model: VisitLearner, pool: Pool) -> NDArray[np.float64]:
    """Return (n, K) posteriors without reports."""
    rows = []
    for first in range(0, len(pool.pictures), _BATCH):
        members = np.arange(first, min(first + _BATCH, len(pool.pictures)))
        nothing = torch.zeros(0, pool.vectors.shape[2])
        rows.append(model.log_posterior(Visit(pool.prompts[0], nothing, pool.seen(members), torch.zeros(len(members), dtype=torch.long))))
    return np.asarray(torch.cat(rows).exp().double().numpy())


def some(pictures: list[Picture], seed: int, most: int) -> list[Picture]:
    """Return at most ``most`` pictures, drawn by chance but in their order."""
    if len(pictures) <= most:
        return pictures
    kept = np.sort(np.random.default_rng(seed).choice(len(pictures), most, replace=False))
    return [pictures[place] for place in kept]
