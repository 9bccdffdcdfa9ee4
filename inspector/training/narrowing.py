"""Narrowing: a trained model learns to answer with weights of few bits as it did with 32.

The model as trained is the teacher. Its pupil begins with the same weights, rounded, and learns from the training pictures to give the
teacher's own probabilities (Hinton et al. 2015, arXiv 1503.02531) out of the teacher's own hidden states where labels are decided (as in
Sun et al. 2019, arXiv 1908.09355). True labels play no part: nothing is learnt anew, only rounding is made good.
"""

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from torch.nn.utils import parametrize

from inspector.training.edge_model import EdgeModel, Visit
from inspector.training.export import EMBEDDING_WIDTH, MATRIX_WIDTHS
from inspector.training.feedback import linear_layers, round_pointwise, rounded_layers
from inspector.training.grids import Grid, Width, grids_of, hold_on_grids, let_go, round_to_grid
from inspector.training.learner import Learner
from inspector.training.recipe import Recipe
from inspector.training.train import Source, drawn_visits, train

_SCALE_RATE = 3.0
"""Scales learn so many times as fast as weights."""
_SEEN_STEPS = 15
"""Steps' worth of visits for whose inputs matrices are rounded."""
_LEARNING = {"learning_rate": 2e-5, "weight_decay": 0.0, "averaging": 0.95, "blind_start": 0.0}
"""What differs from the recipe by which the teacher has learnt: little is left to be made good."""


class Narrowing(Learner):
    """A pupil with weights of few bits and the teacher that it is to answer like."""

    def __init__(
        self,
        teacher: EdgeModel,
        seen: Sequence[Visit],
        *,
        matrices: Width = MATRIX_WIDTHS["int4"],
        embedding: Width = EMBEDDING_WIDTH,
    ) -> None:
        """Make the pupil: the teacher's weights, rounded as they will be exported; matrices for such inputs as ``seen`` brings."""
        super().__init__()
        self._teacher = (teacher,)  # in a tuple: it is no part of what learns
        self._table = round_to_grid(teacher.embedding, embedding)
        self.pupil = copy.deepcopy(teacher).requires_grad_(requires_grad=False)
        self.pupil.embedding = torch.from_numpy(self._table.matrix())
        round_pointwise(self.pupil.upper, partial(self._look, seen))
        for part in (self.pupil.merger, self.pupil.decoder):  # the decoder is rounded for what comes out of the rounded merger
            part.requires_grad_(requires_grad=True)
            hold_on_grids(linear_layers(part), rounded_layers(part, partial(self._look, seen), matrices))

    def _look(self, visits: Sequence[Visit]) -> None:
        """Let the pupil see some visits."""
        for visit in visits:
            self.pupil.hidden(visit)

    def rates(self) -> list[tuple[list[torch.nn.Parameter], float]]:
        """Return the weights behind the grids of decoder and merger, with what stays in 32 bits there, then the scales."""
        named = [*self.pupil.decoder.named_parameters(), *self.pupil.merger.named_parameters()]
        scales = [value for name, value in named if name.endswith("log_scales")]
        return [([value for name, value in named if not name.endswith("log_scales")], 1.0), (scales, _SCALE_RATE)]

    def loss(self, visits: Sequence[Visit], smoothing: float) -> torch.Tensor:  # noqa: ARG002 - a teacher's beliefs are taken as they are
        """Return the mean distance from the teacher's probabilities and hidden states."""
        with parametrize.cached():
            return torch.stack([self._apart(visit) for visit in visits]).mean()

    def _apart(self, visit: Visit) -> torch.Tensor:
        """Return the divergence of the probabilities, nats, plus the relative square distance of the hidden states that they come from."""
        with torch.no_grad():
            wanted = self._teacher[0].hidden(visit)  # (n, N, D)
            belief = self._teacher[0].log_posterior(visit, wanted)  # (n, K)
        seen = self.pupil.hidden(visit)
        divergence = (belief.exp() * (belief - self.pupil.log_posterior(visit, seen))).sum(1).mean()
        return divergence + (seen - wanted).square().mean() / wanted.square().mean()

    def finished(self) -> tuple[EdgeModel, dict[str, Grid]]:
        """Return the pupil with its rounded weights as plain ones, and the grids that these are on, by the names of their modules."""
        grids = grids_of(self.pupil) | {"embedding": self._table}
        let_go(self.pupil)
        return self.pupil.eval(), grids


def narrow(
    teacher: EdgeModel, sources: Mapping[str, Source], recipe: Recipe, state_file: Path, console: Console
) -> tuple[EdgeModel, dict[str, Grid]]:
    """Return a model that has learnt, for the recipe's steps or seconds, to answer like ``teacher`` with weights of 4 bits, and its grids.

    With 0 steps it is rounded and learns nothing. Resumable, as ``train`` is.
    """
    plan = recipe.model_copy(update=_LEARNING)
    seen = [visit for step in range(_SEEN_STEPS) for visit in drawn_visits(sources, plan, recipe.steps + step)]
    pupil = Narrowing(teacher, seen)
    return (train(pupil, sources, plan, state_file, console) if recipe.steps else pupil).finished()
