"""Narrowing: the pupil begins rounded, learns to answer like its teacher, and what is exported answers like the pupil."""

from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from inspector.core.context import Context
from inspector.training.edge_model import EdgeModel, Visit
from inspector.training.export import export_checkpoint
from inspector.training.feedback import linear_layers
from inspector.training.graph_weights import model_of
from inspector.training.grids import Width
from inspector.training.narrowing import Narrowing, narrow
from inspector.training.recipe import ProductRecipe, Recipe
from inspector.training.train import Source
from inspector.training.visits import History
from inspector.vlm.checkpoint import open_checkpoint
from inspector.vlm.onnx_predictor import OnnxPredictor
from inspector.vlm.pixels import squared
from inspector.vlm.prompt import build_prompt
from tests.conftest import REPORT_WIDTH, Tiny
from tests.station_kit import picture

MATRICES, TABLE = Width(4, 16), Width(4, 32)


def visits(tiny: Tiny, seeds: range) -> list[Visit]:
    """Return visits of two pictures each, without and with reports."""
    found = []
    for seed in seeds:
        pixels = np.stack([squared(picture(2 * seed + place), 128) for place in range(2)])
        with torch.no_grad():
            features = tiny.trunk(torch.from_numpy(pixels))
        reports = seed % 2
        vectors = torch.nn.functional.normalize(torch.randn(reports, REPORT_WIDTH, generator=torch.Generator().manual_seed(seed)))
        found.append(Visit(build_prompt(tiny.tokenizer, "ball screw", tiny.labels, reports), vectors, features, torch.zeros(2).long()))
    return found


def apart(one: EdgeModel, other: EdgeModel, seen: list[Visit]) -> float:
    """Return the largest difference of a probability."""
    with torch.inference_mode():
        return max(float((one.log_posterior(visit).exp() - other.log_posterior(visit).exp()).abs().max()) for visit in seen)


@pytest.fixture
def narrowing(tiny: Tiny) -> Narrowing:
    return Narrowing(tiny.model, visits(tiny, range(4)), matrices=MATRICES, embedding=TABLE)


def test_the_pupil_begins_with_its_teachers_weights_rounded(tiny: Tiny, narrowing: Narrowing) -> None:
    ours, theirs = (linear_layers(model) for model in (narrowing.pupil, tiny.model))
    for name in ("decoder.layers.0.q", "merger.inner"):
        rounded, source = ours[name].weight, theirs[name].weight
        assert not torch.equal(rounded, source)
        assert torch.nn.functional.cosine_similarity(rounded.flatten(), source.flatten(), 0) > 0.97
    learning = {name.split(".")[1] for name, value in narrowing.named_parameters() if value.requires_grad}
    assert learning == {"decoder", "merger"}
    assert not any("teacher" in name for name in narrowing.state_dict())


def test_the_pupil_learns_to_answer_like_its_teacher(tiny: Tiny, narrowing: Narrowing) -> None:
    seen = visits(tiny, range(4))
    before, optimiser = narrowing.loss(seen, 0.0).item(), torch.optim.Adam([{"params": p, "lr": 1e-3 * f} for p, f in narrowing.rates()])
    for _ in range(25):
        optimiser.zero_grad()
        narrowing.loss(seen, 0.0).backward()
        optimiser.step()
    assert 0.0 < narrowing.loss(seen, 0.0).item() < 0.5 * before


def test_what_is_exported_answers_like_the_pupil(tiny: Tiny, narrowing: Narrowing, tmp_path: Path) -> None:
    pupil, grids = narrowing.finished()
    export_checkpoint(
        tmp_path / "narrow", "tiny", tiny.trunk, pupil, tiny.tokenizer, side=128, encoder="test@0", precision="int4", grids=grids
    )  # fmt: skip
    checkpoint = open_checkpoint(tmp_path / "narrow")
    context = Context("screw", "ball screw", tiny.labels, (), np.zeros((0, REPORT_WIDTH), np.float32))
    predictor, seen = OnnxPredictor(checkpoint), visits(tiny, range(1))[0]
    with torch.inference_mode():
        expected = pupil.log_posterior(seen).exp().numpy()
    for place in range(2):
        predictions, _ = predictor.predict([("frame", picture(place))], context)
        # Activations are multiplied in 8 bits, and random weights are the worst case for that.
        assert [*predictions[0].scores.values()] == pytest.approx(list(expected[place]), abs=0.1)
    _, read = model_of(checkpoint)
    layers, ours = linear_layers(read), linear_layers(pupil)
    for name in ours:
        assert torch.allclose(layers[name].weight, ours[name].weight, atol=0.02 if name.startswith("projector") else 1e-6), name
    assert torch.allclose(read.embedding, pupil.embedding, atol=1e-3)
    assert apart(pupil, tiny.model, visits(tiny, range(2))) > 0.0
    size = sum(path.stat().st_size for path in tiny.folder.glob("*.onnx"))
    assert sum(path.stat().st_size for path in (tmp_path / "narrow").glob("*.onnx")) < 0.4 * size


class Drawn:
    """Visits that were made before."""

    def __init__(self, made: list[Visit]) -> None:
        self.made = made

    def draw(self, rng: np.random.Generator, size: int, history: History, *, blind: bool) -> Visit:
        return self.made[int(rng.integers(len(self.made)))]


@pytest.mark.parametrize("steps", [0, 3])
def test_a_trained_model_becomes_narrow_with_or_without_learning(tiny: Tiny, tmp_path: Path, steps: int) -> None:
    seen, state = visits(tiny, range(3)), tmp_path / "narrow.pt"
    product = ProductRecipe(description="screw", labels=tiny.labels.names, good="good", data=".", history="lots")
    recipe = Recipe(name="r", visits=2, products={"screw": product}).model_copy(update={"steps": steps})
    pupil, grids = narrow(tiny.model, {"screw": Source(Drawn(seen), 1.0)}, recipe, state, Console(quiet=True))
    assert set(grids) == {*linear_layers(pupil), "embedding"} - {"projector.inner", "projector.outer"}
    for name, layer in linear_layers(pupil).items():
        assert name.startswith("projector") or np.array_equal(layer.weight.detach().numpy(), grids[name].matrix()), name
    theirs = linear_layers(tiny.model)
    for name, layer in linear_layers(pupil).items():  # near the teacher's weights; such random ones do not keep its answers
        assert (layer.weight - theirs[name].weight).norm() <= 0.3 * theirs[name].weight.norm() + 0.01, name
    assert apart(pupil, tiny.model, seen) > 0.0
    assert state.exists() == (steps > 0)
