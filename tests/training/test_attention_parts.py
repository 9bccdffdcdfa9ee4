"""What attention mixes in and which way it pulls, against sums written out by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inspector.training.attention_parts import LayerRead, log_odds, log_odds_of_way, parts_of, shares

HEADS, ROWS, PLACES, HEAD_WIDTH, WIDTH = 3, 2, 5, 4, 6


def read(seed: int = 0, *, gated: bool = False) -> LayerRead:
    draw = torch.Generator().manual_seed(seed)
    weights = torch.rand(HEADS, ROWS, PLACES, generator=draw).softmax(-1)
    values, output = torch.randn(HEADS, PLACES, HEAD_WIDTH, generator=draw), torch.randn(WIDTH, HEADS, HEAD_WIDTH, generator=draw)
    gates = torch.rand(ROWS, HEADS, HEAD_WIDTH, generator=draw) if gated else None
    return LayerRead(weights, values, output, torch.randn(ROWS, HEADS, HEAD_WIDTH, generator=draw), gates)


def handed(layer: LayerRead, row: int, without: int | None = None) -> torch.Tensor:
    """Return (D,) what the layer adds to a row's state, without one position if asked."""
    total = torch.zeros(WIDTH)
    for head in range(HEADS):
        for place in range(PLACES):
            if place != without:
                part = layer.weights[head, row, place] * layer.values[head, place]
                total += layer.output[:, head] @ (part if layer.gates is None else part * layer.gates[row, head])
    return total


@pytest.mark.parametrize("gated", [False, True])
def test_a_length_is_that_of_what_would_be_missing_from_the_state(gated: bool) -> None:
    layer = read(gated=gated)
    _, together = layer.lengths()
    for place in range(PLACES):
        missing = handed(layer, 0) - handed(layer, 0, without=place)
        assert together[place].item() == pytest.approx(missing.norm().item(), rel=1e-4)


@pytest.mark.parametrize("gated", [False, True])
def test_a_pull_is_the_gradient_times_what_was_handed_over(gated: bool) -> None:
    layer = read(1, gated=gated)
    pulls = layer.pulls()
    for head in range(HEADS):
        for place in range(PLACES):
            expected = 0.0
            for row in range(ROWS):
                part = layer.weights[head, row, place] * layer.values[head, place]
                expected += float((layer.gradient[row, head] * (part if layer.gates is None else part * layer.gates[row, head])).sum())
            assert pulls[head, place].item() == pytest.approx(expected, abs=1e-5)


def test_a_position_with_a_large_weight_and_nothing_to_give_has_no_share_and_no_pull() -> None:
    layer = read(2)
    weights, values = torch.full((HEADS, ROWS, PLACES), 0.01), layer.values.clone()
    weights[..., 0], values[:, 0] = 0.96, 0.0
    parts = parts_of([LayerRead(weights, values, layer.output, layer.gradient)], PLACES)
    assert parts.weights[0, :, 0] == pytest.approx(0.96)
    assert parts.mixed[0, 0] == 0.0
    assert (parts.mixed_by_head[0, :, 0] == 0.0).all()
    assert (parts.pulls[0, :, 0] == 0.0).all()
    assert parts.mixed.sum(-1) == pytest.approx(1.0)


def test_heads_that_cancel_each_other_mix_nothing_in_together() -> None:
    layer = read(3)
    values, output = layer.values[:1].expand(2, -1, -1), torch.stack([layer.output[:, 0], -layer.output[:, 0]], 1)
    each, together = LayerRead(layer.weights[:1].expand(2, -1, -1), values, output, layer.gradient[:, :2]).lengths()
    assert (each > 0).all()
    assert together.abs().max().item() == pytest.approx(0.0, abs=1e-6)
    assert shares(torch.zeros(4)).tolist() == [0.25] * 4, "where nothing is mixed in, nothing is preferred"


@given(st.lists(st.floats(-8, 8), min_size=3, max_size=3), st.lists(st.floats(-8, 8), min_size=2, max_size=2))
def test_log_odds_along_a_way_are_those_of_the_whole_posterior(first: list[float], second: list[float]) -> None:
    """A trie with three branches, of which the last one branches again: four labels."""
    one, two = torch.tensor(first, dtype=torch.float64), torch.tensor(second, dtype=torch.float64)
    log_p = torch.cat([one.log_softmax(0)[:2], one.log_softmax(0)[2] + two.log_softmax(0)])
    for label, way in enumerate([[(one, 0)], [(one, 1)], [(one, 2), (two, 0)], [(one, 2), (two, 1)]]):
        p = float(log_p[label].exp())
        assert log_odds(log_p, label).item() == pytest.approx(float(log_odds_of_way(way)), abs=1e-9)
        assert log_odds(log_p, label).item() == pytest.approx(float(np.log(p) - np.log1p(-p)), abs=1e-4, rel=1e-4)
