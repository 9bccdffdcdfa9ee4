"""A learner: what ``train`` needs of a model, whatever it is. Its state is what it has learnt, and nothing else."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


class Learner(nn.Module, ABC):
    """A model that learns from visits. ``state_dict`` holds all that a stopped run needs to go on."""

    @abstractmethod
    def rates(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return the parameters that learn, in groups, each with the factor of its learning rate."""

    @abstractmethod
    def loss(self, visits: Sequence[Any], smoothing: float) -> torch.Tensor:
        """Return the mean loss over all pictures of all visits, a scalar, with label smoothing."""
