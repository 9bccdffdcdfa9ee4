"""Padding within the convolution gives the numbers that padding before it gives."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper

from inspector.training.export import OPSET
from inspector.training.padding import fuse_padding
from inspector.training.tower import SameConv


def export(path: Path, module: torch.nn.Module) -> Path:
    inputs = (torch.zeros(1, 3, 16, 16),)
    axes = {"x": {0: "B"}}
    torch.onnx.export(module.eval(), inputs, str(path), dynamo=False, input_names=["x"], output_names=["y"], dynamic_axes=axes,
                      opset_version=OPSET)  # fmt: skip
    return path


def run(path: Path, x: np.ndarray) -> np.ndarray:
    found: np.ndarray = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    return found


@pytest.mark.filterwarnings("ignore")
def test_the_graph_loses_its_paddings_and_keeps_its_numbers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    blocks = SameConv(3, 8, 3, stride=2), torch.nn.ReLU6(), SameConv(8, 8, 5, stride=1, groups=8), torch.nn.Conv2d(8, 4, 1)
    tower = torch.nn.Sequential(*blocks)
    path, x = export(tmp_path / "tower.onnx", tower), np.random.default_rng(0).standard_normal((2, 3, 16, 16), np.float32)
    before = run(path, x)
    assert fuse_padding(path) == 2
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    assert "Pad" not in kinds
    assert kinds.count("Conv") == 3
    np.testing.assert_allclose(run(path, x), before, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(before, tower(torch.from_numpy(x)).detach().numpy(), rtol=1e-5, atol=1e-5)
    assert fuse_padding(path) == 0


def test_a_padding_of_channels_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Pad", ["x", "amounts"], ["padded"], name="pad"), helper.make_node("Conv", ["padded", "kernel"], ["y"])]
    weights = [
        onnx.numpy_helper.from_array(np.array([0, 1, 0, 0, 0, 0, 0, 0]), "amounts"),
        onnx.numpy_helper.from_array(np.ones((2, 4, 1, 1), np.float32), "kernel"),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy")
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10), tmp_path / "g.onnx")
    with pytest.raises(ValueError, match="pad pads more than height and width"):
        fuse_padding(tmp_path / "g.onnx")
