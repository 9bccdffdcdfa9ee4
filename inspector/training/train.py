"""Training of an edge model by a recipe: features once, then visits, then the averaged weights.

Resumable: the state is written every ``SAVE_EVERY`` steps and taken up again if recipe and data are the same.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from inspector.errors import CheckpointError
from inspector.training.edge_model import EdgeModel, Visit, loss_of
from inspector.training.recipe import Recipe
from inspector.training.visits import History, Visits

SAVE_EVERY = 50
"""Steps between two saved states."""


@dataclass(frozen=True, slots=True)
class Source:
    """One product's visits and the share of the steps that it gets."""

    visits: Visits
    """Where its visits come from."""
    share: float
    """Its share of all visits, relative to the other products'."""


def train(model: EdgeModel, sources: Mapping[str, Source], recipe: Recipe, state_file: Path, console: Console) -> EdgeModel:
    """Train the model in place and return it with the running average of its weights."""
    optimiser = _optimiser(model, recipe)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _rate(recipe.steps))
    average = {name: value.clone() for name, value in model.state_dict().items()}
    first = _resume(state_file, model, optimiser, schedule, average)
    model.eval()  # the tower's batch norms keep their ImageNet statistics
    with _progress(console) as progress:
        task = progress.add_task("training", total=recipe.steps, completed=first, loss=float("nan"))
        for step in range(first, recipe.steps):
            visits = list(_draw(sources, recipe, step))
            loss = loss_of(model, visits, recipe.smoothing)
            if not torch.isfinite(loss):
                raise CheckpointError(f"step {step + 1}: the loss is {loss.item()}; lower learning_rate in the recipe")
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            _average(average, model, min(recipe.averaging, (step + 1) / (step + 10)))
            progress.update(task, advance=1, loss=loss.item())
            if (step + 1) % SAVE_EVERY == 0:
                _save(state_file, step + 1, model, optimiser, schedule, average)
                console.log(f"step {step + 1}: loss {loss.item():.3f}")
    model.load_state_dict(average)
    return model


def _draw(sources: Mapping[str, Source], recipe: Recipe, step: int) -> Iterator[Visit]:
    """Yield the visits of one step; they depend on seed and step alone, so a resumed run draws the same."""
    rng = np.random.default_rng([recipe.seed, step])
    shares = np.array([source.share for source in sources.values()])
    names = list(sources)
    for _ in range(recipe.visits):
        blind = step < recipe.blind_start * recipe.steps or rng.random() < recipe.blind
        draw = rng.random()
        history: History = "none" if draw < recipe.without_reports else "true"
        if recipe.without_reports <= draw < recipe.without_reports + recipe.swapped_reports:
            history = "swapped"
        name = names[int(rng.choice(len(names), p=shares / shares.sum()))]
        yield sources[name].visits.draw(rng, recipe.visit_size, history, blind=blind)


def _optimiser(model: EdgeModel, recipe: Recipe) -> torch.optim.AdamW:
    slow = [*model.decoder.parameters(), *model.upper.parameters()]
    fast = [*model.merger.parameters(), *model.projector.parameters(), model.logit_scale]
    groups = [{"params": slow, "lr": recipe.learning_rate}, {"params": fast, "lr": 3 * recipe.learning_rate}]
    return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)


def _rate(steps: int) -> Callable[[int], float]:
    warm = max(steps // 20, 1)
    return lambda step: min(1.0, (step + 1) / warm) * (0.02 + 0.49 * (1 + math.cos(math.pi * min(step / steps, 1.0))))


def _average(average: dict[str, torch.Tensor], model: EdgeModel, decay: float) -> None:
    for name, value in model.state_dict().items():
        if value.dtype.is_floating_point:
            average[name].lerp_(value, 1 - decay)


def _save(
    path: Path,
    step: int,
    model: EdgeModel,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    average: dict[str, torch.Tensor],
) -> None:
    """Write the state beside the old one, then put it in its place: a kill leaves one of the two whole."""
    fresh = path.with_suffix(".new")
    state = {"step": step, "model": model.state_dict(), "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict()}
    torch.save(state | {"average": average}, fresh)
    fresh.replace(path)


def _resume(
    path: Path,
    model: EdgeModel,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    average: dict[str, torch.Tensor],
) -> int:
    """Take up a saved state if there is one; return the step to go on with."""
    if not path.is_file():
        return 0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    schedule.load_state_dict(state["schedule"])
    average.update(state["average"])
    return int(state["step"])


def _progress(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console)
