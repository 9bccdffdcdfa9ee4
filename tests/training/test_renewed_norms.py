"""A tower from exported graphs whose norms learn again: it answers as before, and about so by the statistics of a batch."""

import numpy as np
import pytest
import torch

from inspector.training.graph_weights import model_of
from inspector.training.renewed_norms import renew_norms
from inspector.training.tower import Trunk, Upper
from inspector.vlm.checkpoint import open_checkpoint
from tests.test_shipped_model import MODEL


@pytest.fixture
def tower() -> tuple[Trunk, Upper]:
    """The shipped tower, its norms folded away."""
    trunk, model = model_of(open_checkpoint(MODEL))
    return trunk, model.upper


@pytest.fixture
def pixels() -> torch.Tensor:
    """(16, 64, 64, 3) pictures with patterns of several sizes."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (16, 8, 8, 3)).repeat(8, 1).repeat(8, 2)
    return torch.from_numpy((coarse * 0.7 + rng.integers(0, 75, (16, 64, 64, 3))).astype(np.uint8))


def answer(tower: tuple[Trunk, Upper], pixels: torch.Tensor, *, by_batch: bool) -> torch.Tensor:
    with torch.no_grad():
        for part in tower:
            part.train(by_batch)
        return tower[1](tower[0](pixels))


def look(tower: tuple[Trunk, Upper], pixels: torch.Tensor) -> None:
    answer(tower, pixels, by_batch=False)


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm())


def test_a_renewed_tower_answers_as_before_and_about_so_in_batches(tower: tuple[Trunk, Upper], pixels: torch.Tensor) -> None:
    before = answer(tower, pixels, by_batch=False)
    for part in tower:
        for norm in part.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.momentum = 0.0  # looking changes nothing here
    assert apart(answer(tower, pixels, by_batch=True), before) > 0.5, "without it a batch ruins the tower"
    renew_norms(tower, lambda: look(tower, pixels))
    assert apart(answer(tower, pixels, by_batch=False), before) < 1e-3
    assert apart(answer(tower, pixels, by_batch=True), before) < 0.02


def test_what_each_convolution_gives_has_variance_1(tower: tuple[Trunk, Upper], pixels: torch.Tensor) -> None:
    renew_norms(tower, lambda: look(tower, pixels))
    found = list[float]()
    for part in tower:
        for norm in part.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.register_forward_pre_hook(lambda _, inputs: found.append(float(inputs[0].var((0, 2, 3), correction=0).median())))
    answer(tower, pixels, by_batch=False)
    assert len(found) == 1 + 2 + 15 * 3
    assert min(found) > 0.95
    assert max(found) < 1.05
