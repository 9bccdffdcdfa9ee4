"""The exported vision side on tiny models of the true classes: the same slots, the same verdicts, and nothing taken on trust."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from safetensors.torch import load_file, save_file

from inspector.errors import CheckpointError
from inspector.settings import ImageTokens
from inspector.training.vision_export import export_vision
from inspector.vlm.full_checkpoint import file_hash, graph_path, open_full
from inspector.vlm.memory_plan import plan_memory
from inspector.vlm.onnx_session import open_graph, refuse_fallback
from inspector.vlm.vision_side import GraphVision, TorchVision, block_order
from tests.full_kit import context, open_tiny_full, section, write_tiny_full
from tests.station_kit import picture

MODES: tuple[ImageTokens, ...] = ("16x", "4x")


@pytest.fixture(scope="module", params=("minicpmv4_6", "minicpmv4_7"))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with the graphs of both token modes beside it."""
    folder = write_tiny_full(tmp_path_factory.mktemp("vision") / request.param, request.param)
    for mode in MODES:
        predictor = open_tiny_full(folder, image_tokens=mode)
        export_vision(predictor.checkpoint, predictor.model, mode)
    return folder


@pytest.mark.parametrize("mode", MODES)
def test_slots_of_pictures_of_any_size_and_slicing_are_those_of_torch(folder: Path, mode: ImageTokens) -> None:
    predictor = open_tiny_full(folder, image_tokens=mode, vision="onnx")
    assert isinstance(predictor._vision, GraphVision)
    source = TorchVision(predictor.model, mode)
    for size in ((96, 128), (200, 300), (33, 500), (112, 112), (1, 40)):
        frame = predictor.processor.frame(picture(1, *size), "")
        with torch.inference_mode():
            expected = source.slots(frame.patches, frame.grids)
        assert torch.allclose(predictor._vision.slots(frame.patches, frame.grids), expected, atol=1e-4)


def test_verdicts_are_those_of_torch_under_a_revision_of_their_own_and_the_tower_is_not_asked(folder: Path) -> None:
    images, read = [(f"r{number}", picture(number, 96 + 60 * number, 160)) for number in range(4)], context(2)
    plain, exported = open_tiny_full(folder), open_tiny_full(folder, vision="onnx")
    asked = list[object]()
    exported.model.model.vision_tower.register_forward_pre_hook(lambda *given: asked.append(given))
    expected, found = plain.predict(images, read)[0], exported.predict(images, read)[0]
    assert asked == []
    for one, other in zip(expected, found, strict=True):
        assert other.scores == pytest.approx(one.scores, abs=1e-5)
    assert exported.name != plain.name
    assert "nodes on CPUExecutionProvider; parity with torch: 3 slices" in exported.standing


def test_a_graph_that_computes_something_else_may_not_judge(folder: Path, tmp_path: Path) -> None:
    altered = Path(shutil.copytree(folder, tmp_path / "altered"))
    path = graph_path(altered, "16x")
    graph = onnx.load(path)
    bias = next(entry for entry in graph.graph.initializer if entry.name.endswith("linear_2.bias") and len(entry.dims) == 1)
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(0.5), bias.name))
    record, before = path.with_suffix(".toml"), file_hash(path)
    onnx.save(graph, path)
    with pytest.raises(CheckpointError, match=r"vision-16x\.onnx: is missing or altered; export it anew"):
        open_tiny_full(altered, vision="onnx")
    record.write_text(record.read_text(encoding="utf-8").replace(before, file_hash(path)), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"differ from torch's on this machine by up to .* 0\.01 is allowed"):
        open_tiny_full(altered, vision="onnx")


def test_a_graph_of_other_weights_and_a_missing_one_are_told_with_the_way_out(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    weights = load_file(other / "model.safetensors")
    save_file({name: tensor * 1.01 for name, tensor in weights.items()}, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"was exported from other weights .* inspector models export other --image-tokens 16x"):
        open_tiny_full(other, vision="onnx")
    shutil.rmtree(other / "onnx")
    with pytest.raises(CheckpointError, match=r'model\.vision is "onnx", but there is no graph for 16x'):
        open_tiny_full(other, vision="onnx")


def test_a_provider_that_is_left_out_silently_by_the_runtime_is_refused(folder: Path) -> None:
    refuse_fallback(("CPUExecutionProvider",), ["CPUExecutionProvider"])
    refuse_fallback(("CUDAExecutionProvider",), ["CUDAExecutionProvider", "CPUExecutionProvider"])
    for asked in (("CUDAExecutionProvider", "CPUExecutionProvider"), ("TensorrtExecutionProvider",)):
        with pytest.raises(CheckpointError, match=r"asked for .* fell back to CPUExecutionProvider; see that the provider's libraries"):
            refuse_fallback(asked, ["CPUExecutionProvider"])
    with pytest.raises(CheckpointError, match="'NoSuchProvider' is not in this build of ONNX Runtime"):
        open_graph(graph_path(folder, "16x"), ["NoSuchProvider"], 1)


def test_weights_too_large_for_one_file_lie_beside_the_graph_and_are_hashed_with_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inspector.training.vision_export._ONE_FILE_BYTES", 1000)
    large = Path(shutil.copytree(folder, tmp_path / "large"))
    predictor = open_tiny_full(large)
    path = export_vision(predictor.checkpoint, predictor.model, "16x")
    data = path.with_name(f"{path.name}.data")
    assert data.stat().st_size > 100_000 > path.stat().st_size
    assert "parity with torch" in open_tiny_full(large, vision="onnx").standing
    content = bytearray(data.read_bytes())
    content[5000] ^= 1
    data.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"vision-16x\.onnx\.data: is missing or altered"):
        open_tiny_full(large, vision="onnx")


def test_the_graphs_weights_are_in_the_memory_plan(folder: Path) -> None:
    plans = [plan_memory(open_full(folder, model), model, "float32") for model in (section(), section(vision="onnx"))]
    assert plans[1].weights_bytes - plans[0].weights_bytes == graph_path(folder, "16x").stat().st_size


def test_blocks_of_two_by_two_follow_one_another() -> None:
    assert block_order(2, 4).tolist() == [0, 1, 4, 5, 2, 3, 6, 7]
