"""Grids: what a layer is shown while it learns is what its grid stands for, rounding is near, and both weights and scales learn."""

import numpy as np
import pytest
import torch
from torch import nn

from inspector.training.grids import Width, grids_of, hold_on_grids, let_go, round_to_grid


def weight_of(model: nn.Sequential) -> torch.Tensor:
    """Return the weight that the model's only layer multiplies by."""
    weight = model[0].weight
    assert isinstance(weight, torch.Tensor)
    return weight.detach()


def hold(model: nn.Sequential) -> None:
    """Put the model's only layer on a plain grid."""
    hold_on_grids({"0": model[0]}, {"0": round_to_grid(weight_of(model), Width(4, 16))})  # type: ignore[dict-item]


def layer() -> nn.Sequential:
    """Return a model of one layer whose rows do not end with a block."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(50, 7, bias=False))


@pytest.mark.parametrize(("width", "steps"), [(Width(4, 16), 15), (Width(4, 32), 15), (Width(8, 32), 255)])
def test_a_rounded_weight_is_nearer_than_a_step_of_its_block(width: Width, steps: int) -> None:
    weight = torch.randn(7, 50, generator=torch.Generator().manual_seed(1))
    grid = round_to_grid(weight, width)
    apart = np.abs(grid.matrix() - weight.numpy())
    assert grid.levels.max() <= steps
    assert apart.max() <= 0.5 * (weight.max() - weight.min()).item() / steps * 3, "cutting off the range costs three half steps at most"
    assert np.sqrt((apart**2).mean()) < 0.5 * (weight.max() - weight.min()).item() / steps


def test_zero_stays_zero() -> None:
    weight = torch.rand(3, 32) + 0.5
    weight[1, 4] = 0.0
    assert round_to_grid(weight, Width(4, 16)).matrix()[1, 4] == 0.0
    assert not round_to_grid(torch.zeros(2, 16), Width(4, 16)).matrix().any()


def test_a_layer_sees_its_grid_and_leaves_it_with_the_same_numbers() -> None:
    model = layer()
    expected = round_to_grid(weight_of(model), Width(4, 16)).matrix()
    hold(model)
    assert np.array_equal(weight_of(model).numpy(), expected)
    assert np.array_equal(grids_of(model)["0"].matrix(), expected)
    let_go(model)
    assert list(model.state_dict()) == ["0.weight"]
    assert np.array_equal(weight_of(model).numpy(), expected)


def test_what_was_learnt_on_a_grid_is_on_the_grid_to_the_bit() -> None:
    model, inputs, wanted = layer(), torch.randn(64, 50), torch.randn(64, 7)
    hold(model)
    before, optimiser = grids_of(model)["0"], torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(20):
        optimiser.zero_grad()
        (model(inputs) - wanted).square().mean().backward()
        optimiser.step()
    after = grids_of(model)["0"]
    assert (after.levels != before.levels).any()
    assert (after.scales != before.scales).any()
    assert np.array_equal(weight_of(model).numpy(), after.matrix())


def test_learning_on_a_grid_makes_rounding_good() -> None:
    torch.manual_seed(5)
    source, pupil = layer(), layer()
    pupil.load_state_dict(source.state_dict())
    inputs = torch.randn(256, 5) @ torch.randn(5, 50)  # inputs that hang together: one weight's rounding can make up for another's
    wanted = source(inputs).detach()
    hold(pupil)
    plain = (pupil(inputs) - wanted).square().mean().item()
    optimiser = torch.optim.Adam(pupil.parameters(), 1e-3)
    for step in range(300):
        optimiser.param_groups[0]["lr"] = 1e-3 * (1 - step / 300)
        optimiser.zero_grad()
        (pupil(inputs) - wanted).square().mean().backward()
        optimiser.step()
    assert (pupil(inputs) - wanted).square().mean().item() < 0.6 * plain


def test_in_8_bits_what_a_rounded_model_has_learnt_since_is_kept_on_average() -> None:
    width = Width(8, 32)
    began = torch.from_numpy(round_to_grid(torch.randn(64, 64, generator=torch.Generator().manual_seed(0)), width).matrix())
    scales = torch.from_numpy(round_to_grid(began, width).scales.astype(np.float32)).repeat_interleave(32, 1)
    again = torch.from_numpy(round_to_grid(began, width).matrix())
    assert ((again - began).abs() <= scales).all(), "what is on a grid stays within a step of it"
    learnt = 0.2 * scales  # a fifth of a step: to the nearest level all of it would be lost
    inside = (began < began.amax(1, keepdim=True)) & (began > began.amin(1, keepdim=True))
    kept = torch.from_numpy(round_to_grid(torch.where(inside, began + learnt, began), width).matrix()) - began
    assert (kept / scales)[inside].mean().item() == pytest.approx(0.2, abs=0.05)
