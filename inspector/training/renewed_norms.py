"""Batch norms that were folded into their convolutions, made ready to learn again.

A tower that comes back from exported graphs has norms that only add a bias (``graph_weights``). As soon as such a norm goes by the
statistics of a batch the tower computes something else, and learning would begin from ruins. So the norms are given the statistics of the
product's own pictures and the factors that undo them: the tower answers as before, and about so in batches, too. Each convolution is scaled
so that what it gives has variance 1 (Ioffe and Szegedy 2015, arXiv 1502.03167), which makes one learning rate fit all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

_NORM_OF = {"_conv_stem": "_bn0", "_expand_conv": "_bn0", "_depthwise_conv": "_bn1", "_project_conv": "_bn2"}
_LEAST = 1e-3
"""Deviation of a channel at least: one that says nothing stays as it is."""


@dataclass(slots=True)
class _Seen:
    """Sums over all that a norm was given."""

    count: int
    total: torch.Tensor
    squares: torch.Tensor

    def add(self, values: torch.Tensor) -> None:
        """Count in (B, C, H, W) values."""
        wide = values.double()
        self.count += values.numel() // values.shape[1]
        self.total += wide.sum((0, 2, 3))
        self.squares += wide.square().sum((0, 2, 3))


@torch.no_grad()
def renew_norms(parts: Sequence[nn.Module], look: Callable[[], None]) -> None:
    """Renew the norms of a tower's ``parts`` in place. ``look`` lets them see some pictures, at least one."""
    modules = [module for part in parts for module in part.modules()]
    pairs = [(getattr(m, conv), getattr(m, norm)) for m in modules for conv, norm in _NORM_OF.items() if hasattr(m, conv)]
    seen = [_Seen(0, *(torch.zeros(norm.num_features, dtype=torch.float64) for _ in range(2))) for _, norm in pairs]
    for part in parts:
        part.eval()
    hooks = [
        norm.register_forward_pre_hook(lambda _, inputs, own=own: own.add(inputs[0])) for (_, norm), own in zip(pairs, seen, strict=True)
    ]
    look()
    for hook in hooks:
        hook.remove()
    for (conv, norm), own in zip(pairs, seen, strict=True):
        _renew(conv, norm, own)


def _renew(conv: nn.Conv2d, norm: nn.BatchNorm2d, seen: _Seen) -> None:
    """Scale a convolution and set its norm so that both together give what they gave."""
    if norm.running_mean is None or norm.running_var is None:
        raise TypeError("a batch norm of the tower keeps no statistics")
    mean = (seen.total / seen.count).float()
    variance = (seen.squares / seen.count).float() - mean.square()
    deviation = variance.clamp(min=0.0).sqrt().clamp(min=_LEAST)
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    norm.bias.add_(gain * (mean - norm.running_mean))
    conv.weight /= deviation[:, None, None, None]
    norm.running_mean.copy_(mean / deviation)
    norm.running_var.copy_(variance.clamp(min=0.0) / deviation.square())
    norm.weight.copy_(gain * deviation * (norm.running_var + norm.eps).sqrt())
