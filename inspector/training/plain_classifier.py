"""A conventional classifier on the same tower: pooled features and a linear layer.

It learns fast and from few parts, so it teaches the tower and then the language model; and it is what the language model is compared with.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from inspector.training.edge_model import Visit, VisitLearner
from inspector.training.tower import Trunk, Upper
from inspector.training.visits import History, Visits

_POOLED = 2 * (Trunk.channels + Upper.channels)
_LEFT_OUT = 0.3
"""Dropout before the linear layer."""


class PlainClassifier(VisitLearner):
    """Tower, mean and largest value of each channel, linear layer. Reports are not read."""

    def __init__(self, upper: Upper, labels: int, trunk: Trunk | None = None) -> None:
        """Build it on a tower that it shares; ``trunk`` if the lower tower is to learn too."""
        super().__init__()
        self.upper, self.trunk = upper, trunk
        self.norm = nn.BatchNorm1d(_POOLED, momentum=0.05)
        self.linear = nn.Linear(_POOLED, labels)
        nn.init.zeros_(self.linear.weight)

    def rates(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return the parameters with their share of the learning rate."""
        tower = [*self.upper.parameters(), *(self.trunk.parameters() if self.trunk is not None else ())]
        return [(tower, 1.0), ([*self.norm.parameters(), *self.linear.parameters()], 5.0)]

    def log_posterior(self, visit: Visit) -> torch.Tensor:
        """Return (n, K) log-probabilities of the labels from the pictures alone. Raises ``ValueError`` for a visit without pictures."""
        if visit.stride_16 is None:
            raise ValueError("a plain classifier cannot judge without pictures")
        learns = torch.is_grad_enabled()
        self.norm.train(learns)
        features = visit.stride_16
        if self.trunk is not None and features.dtype == torch.uint8:
            # Small pictures look like nothing that the tower's batch norms have seen: they follow what they see.
            self.trunk.train(learns)
            self.upper.train(learns)
            features = self.trunk(features)
        if visit.kept is not None:
            features = features * visit.kept[:, :, None, None]
        upper = self.upper(features)
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3)), upper.mean((2, 3)), upper.amax((2, 3))], 1).float()
        return self.linear(functional.dropout(self.norm(pooled), _LEFT_OUT, training=learns)).log_softmax(1)


@dataclass(frozen=True, slots=True)
class TaughtVisits:
    """Visits in which a teacher, who sees the pictures alone, says what to believe.

    Where a visit's prior is known that is Bayes' rule: the teacher's posterior times the prior. So the model learns how sure a picture
    makes, and how much reports may change (distillation by function matching: Beyer et al., arXiv 2106.05237).
    """

    visits: Visits[Visit]
    """Where the visits come from."""
    teacher: VisitLearner
    """Who judges the pictures."""
    half: bool = False
    """Whether the teacher multiplies in bfloat16."""

    def draw(self, rng: np.random.Generator, size: int, history: History, *, blind: bool) -> Visit:
        """Return a visit; see ``Visits``. One without a known prior keeps its true labels."""
        visit = self.visits.draw(rng, size, history, blind=blind)
        return visit if visit.prior is None else replace(visit, beliefs=self._beliefs(visit, visit.prior))

    def _beliefs(self, visit: Visit, prior: torch.Tensor) -> torch.Tensor:
        """Return (n, K) probabilities. The teacher sees whole pictures, whatever channels the learner must do without."""
        if visit.stride_16 is None:
            return prior.expand(len(visit.targets), -1)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            joint = self.teacher.log_posterior(replace(visit, kept=None)).float().exp() * prior
        return joint / joint.sum(1, keepdim=True)
