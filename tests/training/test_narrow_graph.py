"""Narrow graphs: fewer bytes, the numbers that the grids stand for, and a tower that ONNX Runtime runs in float32 as before."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from inspector.training.grids import Width, round_to_grid
from inspector.training.narrow_graph import narrow_matrices, packed, round_channels, store_narrow
from inspector.vlm.pixels import squared
from tests.conftest import Tiny
from tests.station_kit import picture


def run(path: Path, values: np.ndarray, name: str = "x") -> np.ndarray:
    """Return the first output of a graph."""
    found: np.ndarray = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {name: values})[0]
    return found


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """Return a graph that multiplies (n, 48) by a constant matrix."""
    weight = np.random.default_rng(2).standard_normal((48, 10)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], "/layer/MatMul")], "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 48])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    path = tmp_path / "product.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path


@pytest.mark.parametrize("width", [Width(4, 16), Width(4, 32), Width(8, 32)])
def test_a_narrow_product_multiplies_by_what_its_grid_stands_for(product: Path, width: Width) -> None:
    weight = numpy_helper.to_array(onnx.load(product).graph.initializer[0])
    grid = round_to_grid(torch.from_numpy(weight.T.copy()), width)
    narrow_matrices(product, width)
    inputs = np.random.default_rng(4).standard_normal((3, 48)).astype(np.float32)
    assert run(product, inputs) == pytest.approx(inputs @ grid.matrix().T, abs=0.15), "its activations are 8-bit"
    assert np.abs(inputs @ grid.matrix().T - inputs @ weight).max() > 0.0


def test_a_grid_that_was_learnt_on_is_written_as_it_is(product: Path) -> None:
    other = round_to_grid(torch.full((10, 48), 0.5), Width(4, 16))
    narrow_matrices(product, Width(4, 16), {"layer": other})
    assert run(product, np.ones((1, 48), np.float32)) == pytest.approx(np.full((1, 10), 24.0), rel=0.02)


def test_the_first_of_two_levels_stands_in_the_lower_half_of_a_byte() -> None:
    assert packed(np.array([[1, 2, 3]], np.uint8), 4).tolist() == [[0x21, 0x03]]
    assert packed(np.array([[1, 2, 3]], np.uint8), 8).tolist() == [[1, 2, 3]]


def test_a_tower_stored_in_8_bits_takes_less_than_a_third_and_sees_nearly_the_same(tiny: Tiny, tmp_path: Path) -> None:
    path = tmp_path / "vision.onnx"
    shutil.copy2(tiny.folder / "vision.onnx", path)
    pixels = squared(picture(1), 128)[None]
    before, size = run(path, pixels, "pixels"), path.stat().st_size
    store_narrow(path, lambda _node, _shape: True)
    after = run(path, pixels, "pixels")
    assert path.stat().st_size < 0.32 * size
    assert not np.array_equal(after, before)
    assert float((after * before).sum() / np.linalg.norm(after) / np.linalg.norm(before)) > 0.999


def test_stored_weights_are_expanded_once_when_the_graph_is_opened(tiny: Tiny, tmp_path: Path) -> None:
    path, opened = tmp_path / "vision.onnx", tmp_path / "opened.onnx"
    shutil.copy2(tiny.folder / "vision.onnx", path)
    store_narrow(path, lambda node, _shape: "/upper/" in node.name)
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(opened)
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    graph = onnx.load(opened).graph
    assert {entry.data_type for entry in onnx.load(path).graph.initializer} >= {TensorProto.INT8, TensorProto.FLOAT16}
    assert not {entry.data_type for entry in graph.initializer} & {TensorProto.INT8, TensorProto.FLOAT16}
    assert sum(node.op_type == "Cast" for node in graph.node) <= 1, "of the pixels alone"


def test_channels_are_rounded_by_their_own_range() -> None:
    weight = np.array([[1.0, -0.5], [100.0, 3.0]], np.float32)
    levels, scales = round_channels(weight, 0)
    assert scales.shape == (2, 1)
    assert levels * scales == pytest.approx(weight, rel=0.01)


def test_weights_that_are_on_8_bits_already_stay_what_they_are() -> None:
    levels = np.random.default_rng(5).integers(-120, 121, (6, 40)).astype(np.float32)
    levels[:, 0] = [127, 120, 110, 100, -127, 97]
    weight = levels * np.array([[0.1], [0.02], [3.0], [0.7], [1.0], [0.5]], np.float32)
    weight = np.where(np.abs(levels) > np.abs(levels[:, :1]), 0, weight).astype(np.float32)
    found, scales = round_channels(weight, 0)
    assert found * scales == pytest.approx(weight, rel=1e-5)
