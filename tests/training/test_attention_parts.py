"""What attention mixes in and which way it pulls, against sums written out by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.training.attention_parts import SCAN, LayerRead, let_through, log_odds, log_odds_of_way, parts_of, shares, way

STEPS, HEADS, ROWS, PLACES, HEAD_WIDTH, WIDTH = 3, 3, 2, 5, 4, 6
ALONG = torch.tensor([0.2, 0.5, 0.3])


def read(seed: int = 0, *, gated: bool = False) -> LayerRead:
    draw = torch.Generator().manual_seed(seed)
    weights = torch.rand(STEPS, HEADS, ROWS, PLACES, generator=draw).softmax(-1)
    values, output = torch.randn(STEPS, HEADS, PLACES, HEAD_WIDTH, generator=draw), torch.randn(WIDTH, HEADS, HEAD_WIDTH, generator=draw)
    gates = torch.rand(STEPS, ROWS, HEADS, HEAD_WIDTH, generator=draw) if gated else None
    return LayerRead(weights, values, output, torch.randn(STEPS, ROWS, HEADS, HEAD_WIDTH, generator=draw), gates)


def part(layer: LayerRead, step: int, head: int, row: int, place: int) -> torch.Tensor:
    """Return (d,) what one head hands over of one position."""
    given = layer.weights[step, head, row, place] * layer.values[step, head, place]
    return given if layer.gates is None else given * layer.gates[step, row, head]


def handed(layer: LayerRead, without: int | None = None) -> torch.Tensor:
    """Return (D,) what the layer adds to the first row's state at the end of the way, without one position if asked."""
    total = torch.zeros(WIDTH)
    for head in range(HEADS):
        for place in range(PLACES):
            if place != without:
                total += layer.output[:, head] @ part(layer, -1, head, 0, place)
    return total


@pytest.mark.parametrize("gated", [False, True])
def test_a_length_is_that_of_what_would_be_missing_from_the_state(gated: bool) -> None:
    layer = read(gated=gated)
    _, together = layer.lengths()
    for place in range(PLACES):
        missing = handed(layer) - handed(layer, without=place)
        assert together[place].item() == pytest.approx(missing.norm().item(), rel=1e-4)


@pytest.mark.parametrize("gated", [False, True])
def test_a_pull_is_the_gradient_times_what_was_handed_over(gated: bool) -> None:
    layer = read(1, gated=gated)
    pulls = layer.pulls(ALONG)
    for head in range(HEADS):
        for place in range(PLACES):
            expected = 0.0
            for step in range(STEPS):
                for row in range(ROWS):
                    expected += float(ALONG[step] * (layer.gradient[step, row, head] * part(layer, step, head, row, place)).sum())
            assert pulls[head, place].item() == pytest.approx(expected, abs=1e-5)


def test_the_way_begins_with_nothing_ends_with_all_and_most_steps_are_made_where_a_verdict_tips() -> None:
    def tipping(factors: torch.Tensor) -> torch.Tensor:
        return 8 * torch.sigmoid(60 * (factors - 0.23)) - 4

    factors, along = way(tipping(SCAN))
    assert (factors[0].item(), factors[-1].item(), along[0].item(), along[-1].item()) == (0.0, 1.0, 0.0, 0.0)
    assert along.sum().item() == pytest.approx(1.0)
    assert ((factors > 0.13) & (factors < 0.33)).sum() > 16
    slope = torch.func.vmap(torch.func.grad(tipping))(factors)
    assert (along @ slope).item() == pytest.approx(8.0, rel=0.02), "even steps miss it"
    even, evenly = way(torch.zeros(len(SCAN)))
    assert evenly[1:-1].tolist() == pytest.approx([1 / 32] * 32, rel=1e-3)
    assert (evenly @ (3 * even).exp()).item() == pytest.approx((np.exp(3) - 1) / 3, rel=2e-3)


def test_what_is_let_through_is_a_part_and_gradients_reach_it() -> None:
    heard = list[torch.Tensor]()
    through = let_through(torch.ones(2, 3, 4), torch.tensor([0.0, 0.5]), heard)
    assert through.sum((1, 2)).tolist() == [0.0, 6.0]
    assert torch.autograd.grad(through.sum(), heard)[0].shape == (2, 3, 4)


def test_a_position_with_a_large_weight_and_nothing_to_give_has_no_share_and_no_pull() -> None:
    layer = read(2)
    weights, values = torch.full((STEPS, HEADS, ROWS, PLACES), 0.01), layer.values.clone()
    weights[..., 0], values[:, :, 0] = 0.96, 0.0
    parts = parts_of([LayerRead(weights, values, layer.output, layer.gradient)], ALONG, PLACES)
    assert parts.weights[0, :, 0] == pytest.approx(0.96)
    assert parts.mixed[0, 0] == 0.0
    assert (parts.mixed_by_head[0, :, 0] == 0.0).all()
    assert (parts.pulls[0, :, 0] == 0.0).all()
    assert parts.mixed.sum(-1) == pytest.approx(1.0)


def test_heads_that_cancel_each_other_mix_nothing_in_together() -> None:
    layer = read(3)
    values, output = layer.values[:, :1].expand(-1, 2, -1, -1), torch.stack([layer.output[:, 0], -layer.output[:, 0]], 1)
    each, together = LayerRead(layer.weights[:, :1].expand(-1, 2, -1, -1), values, output, layer.gradient[:, :, :2]).lengths()
    assert (each > 0).all()
    assert together.abs().max().item() == pytest.approx(0.0, abs=1e-6)
    assert shares(torch.zeros(4)).tolist() == [0.25] * 4, "where nothing is mixed in, nothing is preferred"


@settings(deadline=None)
@given(st.lists(st.floats(-8, 8), min_size=3, max_size=3), st.lists(st.floats(-8, 8), min_size=2, max_size=2))
def test_log_odds_along_a_way_are_those_of_the_whole_posterior(first: list[float], second: list[float]) -> None:
    """A trie with three branches, of which the last one branches again: four labels."""
    one, two = torch.tensor(first, dtype=torch.float64), torch.tensor(second, dtype=torch.float64)
    log_p = torch.cat([one.log_softmax(0)[:2], one.log_softmax(0)[2] + two.log_softmax(0)])
    for label, choices in enumerate([[(one, 0)], [(one, 1)], [(one, 2), (two, 0)], [(one, 2), (two, 1)]]):
        p = float(log_p[label].exp())
        assert log_odds(log_p, label).item() == pytest.approx(float(log_odds_of_way(choices)), abs=1e-9)
        assert log_odds(log_p, label).item() == pytest.approx(float(np.log(p) - np.log1p(-p)), abs=1e-4, rel=1e-4)
