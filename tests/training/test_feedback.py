"""Rounding with feedback: less changes in a layer's outputs, on the same grid, where its inputs hang together."""

import numpy as np
import pytest
import torch
from torch import nn

from inspector.training.feedback import linear_layers, round_pointwise, round_with_feedback, rounded_layers
from inspector.training.grids import Grid, Width, round_to_grid
from inspector.training.narrow_graph import round_channels


def inputs(columns: int) -> torch.Tensor:
    """Return (400, K) inputs that hang together."""
    seeded = torch.Generator().manual_seed(6)
    return torch.randn(400, columns, generator=seeded) @ torch.randn(columns, columns, generator=seeded)


def error(grid: Grid, weight: torch.Tensor, seen: torch.Tensor) -> float:
    """Return the mean square change of a layer's outputs."""
    return float((seen @ (torch.from_numpy(grid.matrix()) - weight).T).square().mean())


@pytest.mark.parametrize("width", [Width(4, 32), Width(4, 64)])
def test_outputs_change_less_than_by_plain_rounding(width: Width) -> None:
    seen, weight = inputs(100), torch.randn(20, 100, generator=torch.Generator().manual_seed(7))
    plain, fed = round_to_grid(weight, width), round_with_feedback(weight, seen.T @ seen, width)
    assert np.array_equal(fed.scales, plain.scales)
    assert error(fed, weight, seen) < 0.75 * error(plain, weight, seen)


def test_independent_inputs_leave_nothing_to_be_made_good() -> None:
    weight = torch.randn(20, 64, generator=torch.Generator().manual_seed(8))
    assert np.array_equal(round_with_feedback(weight, torch.eye(64), Width(4, 32)).levels, round_to_grid(weight, Width(4, 32)).levels)


def test_each_layer_is_rounded_for_the_inputs_that_it_gets() -> None:
    model = nn.Sequential(nn.Linear(40, 24), nn.ReLU(), nn.Linear(24, 8))
    seen = inputs(40)
    grids = rounded_layers(model, lambda: model(seen), Width(4, 8))
    assert list(grids) == list(linear_layers(model)) == ["0", "2"]
    hidden = model[1](model[0](seen)).detach()
    expected = round_with_feedback(linear_layers(model)["2"].weight, hidden.T @ hidden, Width(4, 8))
    assert np.array_equal(grids["2"].levels, expected.levels)


def test_convolutions_of_one_pixel_are_rounded_to_8_bits_and_change_less_than_by_plain_rounding() -> None:
    torch.manual_seed(9)
    model, wide = (
        nn.Sequential(nn.Conv2d(24, 10, 1, bias=False), nn.Conv2d(10, 10, 3, groups=10, bias=False)),
        nn.Conv2d(24, 10, 1, bias=False),
    )
    seen = (torch.randn(4, 6, 8, 8) * torch.linspace(1, 9, 6)[:, None, None]).repeat_interleave(4, 1) + 0.05 * torch.randn(4, 24, 8, 8)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    wanted = model[0](seen).detach()
    round_pointwise(model, lambda: model(seen))
    levels, scales = round_channels(before["0.weight"].numpy(), 0)
    wide.load_state_dict({"weight": torch.from_numpy(levels * scales)})
    assert torch.equal(model.state_dict()["1.weight"], before["1.weight"])
    assert not torch.equal(model.state_dict()["0.weight"], before["0.weight"])
    assert (model[0](seen) - wanted).square().mean() < 0.75 * (wide(seen) - wanted).square().mean()
    again, scales = round_channels(model.state_dict()["0.weight"].numpy(), 0)
    assert again * scales == pytest.approx(model.state_dict()["0.weight"].numpy(), abs=1e-6), "stored as it was rounded"
