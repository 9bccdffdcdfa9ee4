"""Rounding: what is asked for becomes coarse, everything else stays what it was, and the graphs still run."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from inspector.training.rounding import halve, round_activations, round_convolutions, round_table
from inspector.training.size_table import variants
from inspector.vlm.checkpoint import open_checkpoint
from inspector.vlm.graph_output import PATCHES, with_output
from inspector.vlm.pixels import squared
from tests.conftest import Tiny
from tests.station_kit import picture


@pytest.fixture
def folder(tmp_path: Path, tiny: Tiny) -> Path:
    shutil.copytree(tiny.folder, tmp_path / "tiny")
    return tmp_path / "tiny"


def slots(path: Path) -> np.ndarray:
    """Run the vision graph as the predictor opens it."""
    session = ort.InferenceSession(with_output(path.read_bytes(), PATCHES), providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(["slots"], {"pixels": squared(picture(1), 128)[None]})[0]
    return found


def nearness(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the cosine of two tensors."""
    return float((found * expected).sum() / np.linalg.norm(found) / np.linalg.norm(expected))


def test_convolutions_of_one_module_become_8_bit(folder: Path) -> None:
    path = folder / "vision.onnx"
    before, size = slots(path), path.stat().st_size
    round_convolutions(path, "trunk", [squared(picture(seed), 128) for seed in range(4)])
    eight = {entry.name for entry in onnx.load(path).graph.initializer if entry.data_type == onnx.TensorProto.INT8 and len(entry.dims) == 4}
    convolutions = [node.name for node in onnx.load(path).graph.node if node.op_type == "Conv"]
    assert len(eight) == sum(name.startswith("/trunk/") for name in convolutions) < len(convolutions)
    assert path.stat().st_size < size
    assert not np.array_equal(slots(path), before)
    assert nearness(slots(path), before) > 0.9


def test_a_graph_in_float16_takes_half_the_bytes_and_answers_nearly_alike(folder: Path) -> None:
    path = folder / "vision.onnx"
    before, size = slots(path), path.stat().st_size
    halve(path)
    assert path.stat().st_size < 0.6 * size
    assert nearness(slots(path), before) > 0.999


def test_matrices_with_8_bit_activations_are_integer_products(folder: Path) -> None:
    path = folder / "decoder.onnx"
    before = path.stat().st_size
    round_activations(path)
    assert sum(node.op_type == "MatMulInteger" for node in onnx.load(path).graph.node) == 7 * 2  # two layers of seven matrices
    assert path.stat().st_size < 0.6 * before


@pytest.mark.parametrize("bits", [8, 4])
def test_a_rounded_table_has_few_levels_a_row_and_keeps_its_shape(folder: Path, bits: int) -> None:
    path = folder / "embedding.npy"
    before = np.load(path).astype(np.float32)
    saved = round_table(path, bits)
    after = np.load(path)
    assert (after.shape, after.dtype) == (before.shape, np.float16)
    assert len(np.unique(after[3])) < 1 << bits
    assert nearness(after.astype(np.float32), before) > 0.98
    assert saved == before.size * bits // 8 + 2 * len(before)


def test_the_table_has_every_part_and_begins_with_what_it_is_measured_against(tiny: Tiny) -> None:
    lines = list(variants(open_checkpoint(tiny.folder), []))
    assert lines[0] == ("everything", "float32")
    assert {part for part, _ in lines} >= {"vision", "tower, blocks 0-10", "tower, blocks 11-15", "merger", "decoder", "embedding"}
