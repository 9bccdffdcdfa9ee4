"""Grids: weights of few bits, in blocks that share a scale and a zero point, and how a torch module learns on them.

``round_to_grid`` finds a grid; ``OnGrid`` holds a layer's weight on one while it learns: what is multiplied are the rounded numbers, what
the optimiser moves are the numbers behind them, as if rounding were not there (straight-through, Bengio et al. 2013, arXiv 1308.3432; for
weights of few bits Jacob et al. 2018, arXiv 1712.05877). What was learnt so is exported to the bit, not rounded once more.

N rows, K columns, B columns of a block, M = ceil(K / B) blocks of a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils import parametrize

_SHRINK = tuple(np.linspace(1.0, 0.7, 13))
"""Shares of a block's range that are tried: cutting off the outermost weights may make the others exacter."""

_ON = 1e-3
"""A weight that is so near a level, in steps, is on it."""


@dataclass(frozen=True, slots=True)
class Width:
    """How narrow the weights of a matrix are."""

    bits: int
    """4 or 8."""
    block: int
    """Neighbouring columns that share a scale and a zero point: 16, 32, 64, ..."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A matrix on a grid: weight = (level - zero) * scale."""

    levels: NDArray[np.uint8]
    """(N, M, B); where a row ends within a block, levels that mean 0."""
    scales: NDArray[np.float16]
    """(N, M), above 0."""
    zeros: NDArray[np.uint8]
    """(N, M) levels that mean 0."""
    width: Width
    """Bits and block."""
    columns: int
    """K."""

    def matrix(self) -> NDArray[np.float32]:
        """Return the (N, K) float32 matrix that the grid stands for."""
        values = (self.levels.astype(np.float32) - self.zeros[..., None]) * self.scales.astype(np.float32)[..., None]
        return np.ascontiguousarray(values.reshape(len(values), -1)[:, : self.columns])

    def holding(self, weight: torch.Tensor) -> "Grid":
        """Return another (N, K) matrix on this grid's scales and zero points."""
        blocks, most = _blocks(weight.detach().float(), self.width.block), (1 << self.width.bits) - 1
        scales, zeros = torch.from_numpy(self.scales).float(), torch.from_numpy(self.zeros).float()
        return replace(self, levels=_bytes(levels_of(blocks, scales[..., None], zeros[..., None], most)))


def round_to_grid(weight: torch.Tensor, width: Width) -> Grid:
    """Return the grid of an (N, K) matrix: each block's range as it is or a little less, whichever changes the block least.

    In 8 bits the levels are drawn up or down by chance, so that each weight is right on average. A model that learns on from a rounded one
    has moved its weights by less than a step; to the nearest level they would fall back to where they began, and what was learnt were gone.
    """
    blocks, most = _blocks(weight.detach().float(), width.block), (1 << width.bits) - 1
    low, high = blocks.amin(2).clamp(max=0.0), blocks.amax(2).clamp(min=0.0)  # (N, M)
    best = torch.full_like(low, torch.inf)
    scales, zeros = torch.ones_like(low), torch.zeros_like(low)
    for share in _SHRINK if width.bits < 8 else _SHRINK[:1]:
        scale = ((high - low) * share / most).clamp(min=1e-7).half().float()
        zero = (-low * share / scale).round().clamp(0, most)
        error = (_on_grid(blocks, scale, zero, most) - blocks).square().sum(2)
        better = error < best
        best, scales, zeros = torch.where(better, error, best), torch.where(better, scale, scales), torch.where(better, zero, zeros)
    rounded = levels_of if width.bits < 8 else _drawn_levels
    levels = rounded(blocks, scales[..., None], zeros[..., None], most)
    return Grid(_bytes(levels), scales.numpy().astype(np.float16), _bytes(zeros), width, weight.shape[1])


def _drawn_levels(weights: torch.Tensor, scales: torch.Tensor, zeros: torch.Tensor, most: int) -> torch.Tensor:
    """Return levels by stochastic rounding (Gupta et al. 2015, arXiv 1502.02551), the same for the same matrix; see ``levels_of``."""
    exact = weights / scales
    drawn = (exact + torch.rand(exact.shape, generator=torch.Generator().manual_seed(0))).floor()
    nearest = exact.round()
    return (torch.where((exact - nearest).abs() < _ON, nearest, drawn) + zeros).clamp(0, most)


def levels_of(weights: torch.Tensor, scales: torch.Tensor, zeros: torch.Tensor, most: int) -> torch.Tensor:
    """Return the nearest levels, 0 to ``most``, of weights whose scales and zero points have the same shape or one that broadcasts."""
    return ((weights / scales).round() + zeros).clamp(0, most)


class OnGrid(nn.Module):
    """Parametrisation that shows a layer its weight on a grid; what learns are the weight behind it and the scales."""

    zeros: torch.Tensor

    def __init__(self, grid: Grid) -> None:
        """Begin with a grid that was found for the weight."""
        super().__init__()
        self.width, self.most = grid.width, (1 << grid.width.bits) - 1
        self.log_scales = nn.Parameter(torch.from_numpy(grid.scales.astype(np.float32)).log())
        self.register_buffer("zeros", torch.from_numpy(grid.zeros.astype(np.float32)))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """(N, K) weights as they are -> (N, K) on the grid."""
        blocks = _blocks(weight, self.width.block)
        held = _on_grid(blocks, _straight(self.log_scales.exp(), torch.Tensor.half), self.zeros, self.most)
        return held.reshape(len(weight), -1)[:, : weight.shape[1]]

    def grid(self, weight: torch.Tensor) -> Grid:
        """Return the grid on which the layer sees a weight."""
        with torch.no_grad():
            scales = self.log_scales.exp().half().float()
            levels = levels_of(_blocks(weight, self.width.block), scales[..., None], self.zeros[..., None], self.most)
            return Grid(_bytes(levels), scales.numpy().astype(np.float16), _bytes(self.zeros), self.width, weight.shape[1])


def hold_on_grids(layers: Mapping[str, nn.Linear], grids: Mapping[str, Grid]) -> None:
    """Put the weights of linear layers on their grids, in place; both by the layers' names."""
    for name, layer in layers.items():
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(grids[name].matrix()))
        parametrize.register_parametrization(layer, "weight", OnGrid(grids[name]))


def grids_of(model: nn.Module) -> dict[str, Grid]:
    """Return the grids of all layers that are held on one, by their names."""
    found = {}
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear) and parametrize.is_parametrized(layer, "weight"):
            held = cast("Mapping[str, Any]", layer.parametrizations)["weight"]
            found[name] = held[0].grid(held.original)
    return found


def let_go(model: nn.Module) -> None:
    """Make the rounded weights of a model its plain weights, in place."""
    for layer in list(model.modules()):
        if isinstance(layer, nn.Linear) and parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def _on_grid(blocks: torch.Tensor, scales: torch.Tensor, zeros: torch.Tensor, most: int) -> torch.Tensor:
    """Return (N, M, B) blocks rounded to (N, M) scales and zeros; where a level is cut off, only the scale can learn."""
    levels = _straight(blocks / scales[..., None], torch.Tensor.round) + zeros[..., None]
    return (levels.clamp(0, most) - zeros[..., None]) * scales[..., None]


def _straight(x: torch.Tensor, change: object) -> torch.Tensor:
    """Return x after a change that the gradient does not see."""
    return x + (change(x).float() - x).detach()  # type: ignore[operator]


def _blocks(weight: torch.Tensor, block: int) -> torch.Tensor:
    """(N, K) -> (N, M, B), filled up with zeros."""
    return nn.functional.pad(weight, (0, -weight.shape[1] % block)).view(len(weight), -1, block)


def _bytes(values: torch.Tensor) -> NDArray[np.uint8]:
    return values.to(torch.uint8).numpy()
