"""Rounding with feedback: what rounding one column of a matrix changes in its outputs is made good by the columns after it.

GPTQ (Frantar et al. 2022, arXiv 2210.17323): the columns are rounded one by one, and the error of each is handed on to those that are
left, as far as the layer's inputs hang together. Which inputs a layer gets is seen from visits. N outputs, K inputs.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from inspector.training.grids import Grid, Width, levels_of, round_to_grid

_DAMPING = 0.01
"""Share of the mean of the diagonal that is added to it, so that inputs which hardly vary do not carry errors."""
_TOGETHER = 64
"""Columns after which the errors are handed on to all that are left."""
_ROWS = 4096
"""Inputs of a layer that are looked at in one pass; a convolution has one a pixel."""


def round_with_feedback(weight: torch.Tensor, products: torch.Tensor, width: Width) -> Grid:
    """Return a grid for an (N, K) matrix whose inputs have the (K, K) sums of products; scales are those of plain rounding."""
    plain, most = round_to_grid(weight, width), (1 << width.bits) - 1
    scales, zeros = (torch.from_numpy(held).float().repeat_interleave(width.block, 1) for held in (plain.scales, plain.zeros))

    def nearest(values: torch.Tensor, column: int) -> torch.Tensor:
        own = slice(column, column + 1)
        return (levels_of(values, scales[:, own], zeros[:, own], most) - zeros[:, own]) * scales[:, own]

    return plain.holding(_fed_back(weight, products, nearest))


def round_channels_with_feedback(weight: torch.Tensor, products: torch.Tensor) -> torch.Tensor:
    """Return an (N, K) matrix rounded to 8 bits by output, for inputs with the (K, K) sums of products."""
    scales = weight.detach().abs().amax(1, keepdim=True).clamp(min=1e-12) / 127  # (N, 1)
    return _fed_back(weight, products, lambda values, _column: (values / scales).round().clamp(-127, 127) * scales)


def _fed_back(weight: torch.Tensor, products: torch.Tensor, nearest: Callable[[torch.Tensor, int], torch.Tensor]) -> torch.Tensor:
    """Return the (N, K) matrix rounded column by column; ``nearest`` rounds an (N, 1) column, of which it is told the place."""
    left, feedback = weight.detach().float().clone(), _feedback(products)
    rounded = torch.empty_like(left)
    for first in range(0, left.shape[1], _TOGETHER):
        last = min(first + _TOGETHER, left.shape[1])
        errors = torch.zeros(len(left), last - first)
        for column in range(first, last):
            rounded[:, column : column + 1] = nearest(left[:, column : column + 1], column)
            errors[:, column - first] = (left[:, column] - rounded[:, column]) / feedback[column, column]
            left[:, column:last] -= errors[:, column - first, None] * feedback[column, column:last]
        left[:, last:] -= errors @ feedback[first:last, last:]
    return rounded


def _feedback(products: torch.Tensor) -> torch.Tensor:
    """Return the (K, K) upper triangle by which errors are handed on: of the inverse's Cholesky decomposition."""
    damped = products.double()
    mean = damped.diagonal().mean().clamp(min=1e-12)
    damped = damped + torch.eye(len(damped), dtype=torch.float64) * _DAMPING * mean
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    return torch.linalg.cholesky(inverse, upper=True).float()


@contextmanager
def _watched(layers: Mapping[str, nn.Module]) -> Iterator[dict[str, torch.Tensor]]:
    """Let layers note the sums of products of their inputs, by their names, while the context is open."""
    sums = dict[str, torch.Tensor]()

    def noting(name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
        def note(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            last = inputs[0].detach().float()
            rows = (last.movedim(1, -1) if isinstance(layer, nn.Conv2d) else last).flatten(0, -2)  # (T, K)
            rows = rows[:: max(len(rows) // _ROWS, 1)]
            sums[name] = sums.get(name, torch.zeros(())) + rows.T @ rows

        return note

    handles = [layer.register_forward_pre_hook(noting(name)) for name, layer in layers.items()]
    try:
        yield sums
    finally:
        for handle in handles:
            handle.remove()


def linear_layers(model: nn.Module) -> dict[str, nn.Linear]:
    """Return the linear layers of a model by their names."""
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}


def rounded_layers(part: nn.Module, look: Callable[[], None], width: Width) -> dict[str, Grid]:
    """Return the grids of all linear layers of a part; ``look`` lets it see what it usually sees."""
    layers = linear_layers(part)
    with torch.no_grad(), _watched(layers) as sums:
        look()
        return {name: round_with_feedback(layer.weight, sums[name], width) for name, layer in layers.items()}


def round_pointwise(part: nn.Module, look: Callable[[], None]) -> None:
    """Round the 1 x 1 convolutions of a part to 8 bits by output channel, in place; ``look`` lets it see what it usually sees."""
    layers = {name: layer for name, layer in part.named_modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1)}
    with torch.no_grad(), _watched(layers) as sums:
        look()
    with torch.no_grad():
        for name, layer in layers.items():
            layer.weight.copy_(round_channels_with_feedback(layer.weight.flatten(1), sums[name]).view_as(layer.weight))
