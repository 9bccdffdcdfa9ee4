"""The edge model's posterior is the trie's, whatever path computes it, and its export says the same."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inspector.core.context import Context
from inspector.core.report import Report
from inspector.errors import CheckpointError
from inspector.training.decoder import causal_bias
from inspector.training.edge_model import Visit
from inspector.training.export import export_checkpoint
from inspector.vlm.checkpoint import open_checkpoint, verify
from inspector.vlm.onnx_predictor import OnnxPredictor
from inspector.vlm.prompt import build_prompt
from tests.conftest import REPORT_WIDTH, Tiny


def unit_vectors(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Return (count, 384) random unit vectors."""
    vectors = np.random.default_rng(seed).normal(size=(count, REPORT_WIDTH)).astype(np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def pictures(count: int, side: int = 128) -> NDArray[np.uint8]:
    """Return (count, side, side, 3) random pictures."""
    return np.random.default_rng(1).integers(0, 255, (count, side, side, 3), dtype=np.uint8)


def context(tiny: Tiny, vectors: NDArray[np.float32]) -> Context:
    """Return a context with one report for each vector."""
    reports = tuple(Report(f"QC-{i}", datetime(2026, 1, 1 + i, tzinfo=UTC), "ball-screw", "text") for i in range(len(vectors)))
    return Context("ball-screw", "ball screw", tiny.labels, reports, vectors)


def torch_posterior(tiny: Tiny, images: NDArray[np.uint8], vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the source's posterior."""
    prompt = build_prompt(tiny.tokenizer, "ball screw", tiny.labels, len(vectors))
    with torch.inference_mode():
        features = tiny.trunk(torch.from_numpy(images))
        targets = torch.zeros(len(images), dtype=torch.long)
        return tiny.model.log_posterior(Visit(prompt, torch.from_numpy(vectors), features, targets)).exp().double().numpy()


def onnx_posterior(predictor: OnnxPredictor, tiny: Tiny, images: NDArray[np.uint8], vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the deployed graphs' posterior."""
    predictions, _ = predictor.predict([("frame", image) for image in images], context(tiny, vectors))
    return np.array([[p.scores[name] for name in tiny.labels.names] for p in predictions])


def test_the_tree_pass_equals_one_full_pass_for_every_branching_node(tiny: Tiny) -> None:
    vectors, images = unit_vectors(2), pictures(1)
    prompt, model = build_prompt(tiny.tokenizer, "ball screw", tiny.labels, 2), tiny.model
    with torch.inference_mode():
        ids = torch.from_numpy(prompt.prefix_ids)
        prefix = model.embedding[ids.clamp(min=0)].index_copy(0, torch.from_numpy(prompt.slots), model.projector(torch.from_numpy(vectors)))
        slots = model.image_slots(tiny.trunk(torch.from_numpy(images)))[0]
        logits = []
        for node, token in zip(prompt.trie.edge_nodes, prompt.trie.edge_tokens, strict=True):
            way: list[int] = []
            place = int(prompt.trie.nodes[node])
            while place >= 0:
                way.insert(0, int(prompt.trie.tree_tokens[place]))
                place = int(prompt.trie.tree_parents[place])
            said = model.embedding[torch.tensor([*prompt.tail_ids.tolist(), *way])]
            whole = torch.cat([prefix, slots, said])[None]
            hidden, _ = model.decoder(whole, torch.arange(whole.shape[1]), causal_bias(whole.shape[1], 0), model.decoder.empty_past())
            logits.append(float(hidden[0, -1] @ model.embedding[int(token)] * model.logit_scale.exp()))
    expected = prompt.trie.posterior(np.array(logits, np.float32))
    assert len(prompt.trie.nodes) >= 2
    assert torch_posterior(tiny, images, vectors)[0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("reports", [0, 1, 4])
def test_the_exported_graphs_give_the_posterior_of_the_torch_source(tiny: Tiny, reports: int) -> None:
    vectors, images = unit_vectors(reports), pictures(3)
    predictor = OnnxPredictor(open_checkpoint(tiny.folder))
    assert onnx_posterior(predictor, tiny, images, vectors) == pytest.approx(torch_posterior(tiny, images, vectors), abs=1e-4)


def test_a_batch_of_n_equals_n_batches_of_one(tiny: Tiny) -> None:
    predictor, images, vectors = OnnxPredictor(open_checkpoint(tiny.folder)), pictures(4), unit_vectors(2)
    singles = np.concatenate([onnx_posterior(predictor, tiny, image[None], vectors) for image in images])
    assert onnx_posterior(predictor, tiny, images, vectors) == pytest.approx(singles, abs=1e-5)


def test_changing_a_report_changes_the_posterior_and_changing_it_back_restores_it(tiny: Tiny) -> None:
    predictor, images = OnnxPredictor(open_checkpoint(tiny.folder)), pictures(1)
    before = onnx_posterior(predictor, tiny, images, unit_vectors(2, seed=1))
    after = onnx_posterior(predictor, tiny, images, unit_vectors(2, seed=2))
    assert np.abs(before - after).max() > 1e-4
    assert onnx_posterior(predictor, tiny, images, unit_vectors(2, seed=1)) == pytest.approx(before, abs=1e-7)


def test_the_order_of_the_report_slots_is_part_of_the_question(tiny: Tiny) -> None:
    predictor, images, vectors = OnnxPredictor(open_checkpoint(tiny.folder)), pictures(1), unit_vectors(2)
    swapped = np.ascontiguousarray(vectors[::-1])
    assert np.abs(onnx_posterior(predictor, tiny, images, vectors) - onnx_posterior(predictor, tiny, images, swapped)).max() > 1e-6


def test_predictions_name_the_reports_in_slot_order_and_the_model_with_its_revision(tiny: Tiny) -> None:
    predictor = OnnxPredictor(open_checkpoint(tiny.folder))
    predictions, stages = predictor.predict([("left", pictures(1)[0])], context(tiny, unit_vectors(3)))
    assert predictions[0].region == "left"
    assert predictions[0].report_ids == ("QC-0", "QC-1", "QC-2")
    assert predictions[0].model == f"tiny@{open_checkpoint(tiny.folder).revision}"
    assert set(stages) == {"prefill", "pixels", "vision", "decode"}


def test_int4_matrices_make_the_decoder_smaller_and_keep_the_posterior_near(tiny: Tiny, tmp_path: Path) -> None:
    export_checkpoint(tmp_path, "tiny", tiny.trunk, tiny.model, tiny.tokenizer, side=128, encoder="test@0", precision="int4")
    assert (tmp_path / "decoder.onnx").stat().st_size < (tiny.folder / "decoder.onnx").stat().st_size / 2
    found = onnx_posterior(OnnxPredictor(open_checkpoint(tmp_path)), tiny, pictures(2), unit_vectors(2))
    assert found.sum(1) == pytest.approx(np.ones(2))
    assert np.abs(found - torch_posterior(tiny, pictures(2), unit_vectors(2))).max() < 0.5  # random weights are the worst case for 4 bits


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (lambda path: path.unlink(), "the file is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "truncated or altered"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\x00"), "altered"),
    ],
)
def test_a_missing_truncated_or_altered_file_is_refused_by_name(
    tiny: Tiny, tmp_path: Path, harm: Callable[[Path], object], expected: str
) -> None:
    for file in tiny.folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    path = tmp_path / "decoder.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    harm(path)
    assert any("decoder.onnx" in fault and expected in fault for fault in verify(tmp_path))
    with pytest.raises(CheckpointError, match=r"decoder\.onnx"):
        open_checkpoint(tmp_path)


def test_a_provider_that_is_not_there_is_refused_instead_of_falling_back(tiny: Tiny) -> None:
    with pytest.raises(CheckpointError, match="NoSuchProvider"):
        OnnxPredictor(open_checkpoint(tiny.folder), providers=("NoSuchProvider", "CPUExecutionProvider"))
