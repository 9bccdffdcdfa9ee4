"""Training of a learner by a recipe: visits, then the averaged weights.

Resumable: the state is written every ``SAVE_EVERY_S`` seconds and taken up again if recipe and data are the same. A run ends after its
steps or when its time is over; the learning rate follows whichever is nearer.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from inspector.errors import CheckpointError
from inspector.training.learner import Learner
from inspector.training.recipe import Recipe
from inspector.training.visits import History, Visits

SAVE_EVERY_S = 30.0
"""Seconds of learning between two saved states: what a kill costs at most."""
LearnerT = TypeVar("LearnerT", bound=Learner)


@dataclass(frozen=True, slots=True)
class Source:
    """One product's visits and the share of the steps that it gets."""

    visits: Visits[Any]
    """Where its visits come from."""
    share: float
    """Its share of all visits, relative to the other products'."""


@dataclass(frozen=True, slots=True)
class Check(Generic[LearnerT]):
    """Looking at the averaged weights now and then, so that the best of the run are kept."""

    every: int
    """Steps between two looks."""
    measure: Callable[[LearnerT], tuple[float, ...]]
    """How good the weights are; the larger tuple is the better one."""


@dataclass(slots=True)
class _Progress:
    """Where a run stands; all of it is saved."""

    step: int = 0
    spent_s: float = 0.0
    saved_s: float = 0.0
    average: dict[str, torch.Tensor] = field(default_factory=dict)
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    score: tuple[float, ...] = ()
    is_done: bool = False

    def share(self, recipe: Recipe) -> float:
        """Share of the run that is over, by steps or by time."""
        return max(self.step / recipe.steps, self.spent_s / recipe.limit_s)


def train(
    model: LearnerT,
    sources: Mapping[str, Source],
    recipe: Recipe,
    state_file: Path,
    console: Console,
    check: Check[LearnerT] | None = None,
) -> LearnerT:
    """Train the model in place and return it with the running average of its weights, the best of them if there is a ``check``."""
    optimiser, at = _optimiser(model, recipe), _Progress()
    at.average = {name: value.clone() for name, value in model.state_dict().items()}
    rates = [group["lr"] for group in optimiser.param_groups]
    _resume(state_file, model, optimiser, at)
    model.eval()  # the tower's batch norms keep their ImageNet statistics
    with _progress(console) as progress:
        task = progress.add_task("training", total=1.0, loss=float("nan"))
        while not at.is_done and at.share(recipe) < 1.0:
            began_s = time.monotonic()
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * _rate(at.share(recipe))
            visits = list(drawn_visits(sources, recipe, at.step, is_blind=at.share(recipe) < recipe.blind_start))
            loss = _step(model, visits, optimiser, recipe, at)
            if check is not None and at.step % check.every == 0:
                _look(check, model, at, console)
            at.spent_s += time.monotonic() - began_s
            progress.update(task, completed=at.share(recipe), loss=loss)
            if at.spent_s - at.saved_s >= SAVE_EVERY_S:
                at.saved_s = at.spent_s
                _save(state_file, model, optimiser, at)
                console.log(f"step {at.step}: loss {loss:.3f}")
        if check is not None and not at.is_done and at.step % check.every:
            _look(check, model, at, console)
    at.is_done = True
    _save(state_file, model, optimiser, at)
    model.load_state_dict(at.best or at.average)
    return model


def _step(model: Learner, visits: list[Any], optimiser: torch.optim.Optimizer, recipe: Recipe, at: _Progress) -> float:
    """Learn from some visits; return their loss. Raises ``CheckpointError`` if it is no number."""
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.half):
        loss = model.loss(visits, recipe.smoothing)
    if not torch.isfinite(loss):
        raise CheckpointError(f"step {at.step + 1}: the loss is {loss.item()}; lower learning_rate in the recipe")
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    at.step += 1
    _average(at.average, model, min(recipe.averaging, at.step / (at.step + 9)))
    return loss.item()


def _look(check: Check[LearnerT], model: LearnerT, at: _Progress, console: Console) -> None:
    """Measure the averaged weights; keep them if they are the best so far."""
    learning = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(at.average)
    with torch.inference_mode():
        score = check.measure(model)
    model.load_state_dict(learning)
    console.log(f"step {at.step}: checked with {', '.join(f'{value:.4f}' for value in score)}")
    if not at.best or score > at.score:
        at.best, at.score = {name: value.clone() for name, value in at.average.items()}, score


def drawn_visits(sources: Mapping[str, Source], recipe: Recipe, step: int, *, is_blind: bool = False) -> Iterator[Any]:
    """Yield the visits of one step; they depend on seed and step alone, so a resumed run draws the same.

    While reports alone teach (``is_blind``) a visit costs about one picture: a step gets as many visits as it would have pictures.
    """
    rng = np.random.default_rng([recipe.seed, step])
    shares = np.array([source.share for source in sources.values()])
    names = list(sources)
    for _ in range(recipe.visits * (recipe.visit_size if is_blind else 1)):
        blind = is_blind or rng.random() < recipe.blind
        draw = rng.random()
        history: History = "none" if draw < recipe.without_reports else "true"
        if recipe.without_reports <= draw < recipe.without_reports + recipe.swapped_reports:
            history = "swapped"
        name = names[int(rng.choice(len(names), p=shares / shares.sum()))]
        yield sources[name].visits.draw(rng, recipe.visit_size, history, blind=blind)


def _optimiser(model: Learner, recipe: Recipe) -> torch.optim.AdamW:
    groups = [{"params": parameters, "lr": factor * recipe.learning_rate} for parameters, factor in model.rates()]
    return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)


def _rate(share: float) -> float:
    """Return the factor of the learning rate: a rise over the first twentieth, then half a cosine down to 2 %."""
    return min(1.0, (share + 0.002) / 0.05) * (0.02 + 0.49 * (1 + math.cos(math.pi * min(share, 1.0))))


def _average(average: dict[str, torch.Tensor], model: Learner, decay: float) -> None:
    for name, value in model.state_dict().items():
        if value.dtype.is_floating_point:
            average[name].lerp_(value, 1 - decay)


def _save(path: Path, model: Learner, optimiser: torch.optim.Optimizer, at: _Progress) -> None:
    """Write the state beside the old one, then put it in its place: a kill leaves one of the two whole."""
    fresh = path.with_suffix(".new")
    torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict()} | asdict(at), fresh)
    fresh.replace(path)


def _resume(path: Path, model: Learner, optimiser: torch.optim.Optimizer, at: _Progress) -> None:
    """Take up a saved state if there is one."""
    if not path.is_file():
        return
    state = torch.load(path, weights_only=True, map_location=next(model.parameters()).device)
    model.load_state_dict(state.pop("model"))
    optimiser.load_state_dict(state.pop("optimiser"))
    for name, value in state.items():
        setattr(at, name, value)


def _progress(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console)
