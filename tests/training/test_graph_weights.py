"""A checkpoint's graphs back to torch: what comes back, exported anew, answers like what was read."""

from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest
import torch

from inspector.core.context import Context
from inspector.errors import CheckpointError
from inspector.training.export import export_checkpoint
from inspector.training.graph_weights import model_of
from inspector.vlm.checkpoint import open_checkpoint
from inspector.vlm.onnx_predictor import OnnxPredictor
from tests.conftest import Tiny
from tests.station_kit import picture


def answers(folder: Path, tiny: Tiny) -> list[dict[str, float]]:
    """Return the scores of three pictures."""
    checkpoint = open_checkpoint(folder)
    context = Context("screw", "ball screw", tiny.labels, (), np.zeros((0, checkpoint.report_width), np.float32))
    predictions, _ = OnnxPredictor(checkpoint).predict([("frame", picture(number)) for number in range(3)], context)
    return [dict(prediction.scores) for prediction in predictions]


def test_what_is_read_back_and_exported_anew_answers_alike(tiny: Tiny, tmp_path: Path) -> None:
    trunk, model = model_of(open_checkpoint(tiny.folder))
    export_checkpoint(tmp_path / "again", "tiny", trunk, model, tiny.tokenizer, side=128, encoder="test@0", precision="float32")
    told = answers(tiny.folder, tiny)
    assert len({round(scores["good"], 6) for scores in told}) > 1, "the pictures must be told apart"
    for scores, other in zip(told, answers(tmp_path / "again", tiny), strict=True):
        assert other == pytest.approx(scores, abs=1e-4)


@pytest.mark.parametrize(("precision", "steps"), [("int8", 127), ("int4", 5)])
def test_quantised_matrices_come_back_to_within_a_step(tiny: Tiny, tmp_path: Path, precision: Literal["int8", "int4"], steps: int) -> None:
    export_checkpoint(tmp_path / "q", "tiny", tiny.trunk, tiny.model, tiny.tokenizer, side=128, encoder="test@0", precision=precision)
    _, model = model_of(open_checkpoint(tmp_path / "q"))
    read, source = model.decoder.state_dict(), tiny.model.decoder.state_dict()
    matrices = [name for name, value in source.items() if value.dim() == 2 and name.endswith("weight")]
    assert len(matrices) >= 14
    for name in matrices:
        step = source[name].abs().max() / steps
        assert (read[name] - source[name]).abs().max() <= step, name
        assert not torch.equal(read[name], source[name]), f"{name} was not quantised: this would show nothing"


def test_graphs_of_another_family_are_refused_by_name(tiny: Tiny, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    export_checkpoint(folder, "tiny", tiny.trunk, tiny.model, tiny.tokenizer, side=128, encoder="test@0", precision="float32")
    checkpoint = open_checkpoint(folder)
    graph = onnx.load(checkpoint.files["vision"])
    for node in graph.graph.node:
        node.name = ""
    onnx.save(graph, checkpoint.files["vision"])
    with pytest.raises(CheckpointError, match=f"{folder}: its graphs are not those of inspector-edge"):
        model_of(checkpoint)
