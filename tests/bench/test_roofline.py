"""Operations are counted from what is run, not from what is assumed."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

from inspector.bench.machine import machine, spread, written_bytes
from inspector.bench.probes import Probes
from inspector.bench.roofline import Roofline, count_flops


def graph(path: Path) -> Path:
    """Write a graph with a grouped convolution and a matrix product."""
    weights = [
        onnx.numpy_helper.from_array(np.ones((8, 2, 3, 3), np.float32), "kernel"),
        onnx.numpy_helper.from_array(np.ones((64, 32), np.float32), "matrix"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["maps"], group=2, pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("MatMul", ["rows", "matrix"], ["product"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", 4, 16, 16])]
    inputs.append(helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["B", "T", 64]))
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("maps", "product")]
    made = helper.make_graph(nodes, "g", inputs, outputs, weights)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path


def inputs(batch: int) -> dict[str, np.ndarray]:
    return {"x": np.zeros((batch, 4, 16, 16), np.float32), "rows": np.zeros((batch, 5, 64), np.float32)}


def test_a_convolution_and_a_product_are_counted_by_their_shapes(tmp_path: Path) -> None:
    convolution, product = 2 * 8 * 8 * 8 * (2 * 3 * 3), 2 * 5 * 32 * 64
    assert count_flops(graph(tmp_path / "g.onnx"), inputs(1)) == convolution + product
    assert count_flops(graph(tmp_path / "g.onnx"), inputs(3)) == 3 * (convolution + product)


def test_rounding_the_weights_changes_no_operation(tmp_path: Path) -> None:
    path = graph(tmp_path / "g.onnx")
    quantiser = MatMulNBitsQuantizer(onnx.load(path), bits=8, block_size=32, is_symmetric=False, accuracy_level=4)
    quantiser.process()
    quantiser.model.save_model_to_file(str(tmp_path / "q.onnx"), use_external_data_format=False)
    assert count_flops(tmp_path / "q.onnx", inputs(2)) == count_flops(path, inputs(2))


def test_the_roofline_is_operations_over_the_rate() -> None:
    assert Roofline(2_000_000_000, 100.0, 30.0).over == 1.5


def test_the_probes_take_both_units_and_tell_a_rate(tmp_path: Path) -> None:
    before = written_bytes()
    with Probes(tmp_path, 1) as probes:
        probes.turn()
        probes.turn()
    assert probes.gemm_ms > 0
    assert probes.sync_ms > 0
    assert probes.gflops * probes.gemm_ms * 1e6 == pytest.approx(2 * 512**3)
    assert written_bytes() - before >= 2 * 4096


def test_a_spread_names_its_quantiles_and_nothing_has_none() -> None:
    assert spread([1.0, 2.0, 3.0]) == {"p50_ms": 2.0, "p95_ms": 2.9, "p99_ms": 2.98, "max_ms": 3.0}
    assert spread([]) == {}
    assert {"cpu", "cores", "load", "peak_rss_mib"} <= machine().keys()
