"""``python -m tests.parity_measure``: what the parity gate of the shipped model costs and what it sees, for models/LOG.md.

It judges the frozen set as it is, times a start that remembers it, then damages one thing of the decoder at a time and judges again.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from inspector.vlm.checkpoint import Checkpoint, open_checkpoint
from inspector.vlm.onnx_predictor import OnnxPredictor
from inspector.vlm.parity import Compared, check_parity, open_gate, summary

SHIPPED = Path(__file__).parents[1] / "models" / "inspector-edge"


def matrices(graph: onnx.ModelProto, kind: int) -> list[onnx.TensorProto]:
    """Return the quantised matrices (kind UINT8) or their scales (kind FLOAT16) of a decoder graph, in order."""
    large = [tensor for tensor in graph.graph.initializer if tensor.data_type == kind and np.prod(tensor.dims) > 1000]
    return [tensor for tensor in large if len(tensor.dims) == 3 or kind == onnx.TensorProto.FLOAT16]


def judged_with(checkpoint: Checkpoint, change: Callable[[onnx.ModelProto], None], folder: Path) -> list[Compared]:
    """Return what the shipped set gets from a decoder that was changed."""
    graph, file = onnx.load(checkpoint.files["decoder"]), folder / "decoder.onnx"
    change(graph)
    onnx.save(graph, file)
    model = OnnxPredictor(replace(checkpoint, files={**checkpoint.files, "decoder": file}))
    return open_gate(checkpoint, None).judge(model)


def flattened(place: int) -> Callable[[onnx.ModelProto], None]:
    """Return a change that makes one matrix constant."""
    return _edited(onnx.TensorProto.UINT8, place, lambda values: np.full_like(values, 0x88))


def scaled(place: int, factor: float) -> Callable[[onnx.ModelProto], None]:
    """Return a change that multiplies one matrix."""
    return _edited(onnx.TensorProto.FLOAT16, place, lambda values: (values * factor).astype(values.dtype))


def coarse(graph: onnx.ModelProto) -> None:
    """Leave 8 of the 16 levels of every matrix."""
    for tensor in matrices(graph, onnx.TensorProto.UINT8):
        levels = numpy_helper.to_array(tensor) & np.uint8(0xEE)
        tensor.CopyFrom(numpy_helper.from_array(levels, tensor.name))


def _edited(kind: int, place: int, edit: Callable[[NDArray[Any]], NDArray[Any]]) -> Callable[[onnx.ModelProto], None]:
    def change(graph: onnx.ModelProto) -> None:
        tensor = matrices(graph, kind)[place]
        tensor.CopyFrom(numpy_helper.from_array(edit(numpy_helper.to_array(tensor)), tensor.name))

    return change


def main() -> None:
    """Print one line a measurement."""
    checkpoint = open_checkpoint(SHIPPED)
    with tempfile.TemporaryDirectory() as scratch:
        memory = Path(scratch) / "s1.parity.json"
        for _ in range(2):
            began_s = time.perf_counter()
            model = OnnxPredictor(checkpoint)
            loaded_s, cpu_s = time.perf_counter(), time.process_time()
            passed = check_parity(open_gate(checkpoint, None), lambda model=model: model, memory)  # type: ignore[misc]
            gate_s = time.perf_counter() - loaded_s
            cpu_s = time.process_time() - cpu_s
            sys.stdout.write(f"load {loaded_s - began_s:.2f} s, gate {gate_s:.3f} s, {cpu_s:.3f} s of CPU: {passed.text}\n")
        changes: dict[str, Callable[[onnx.ModelProto], None]] = {"every matrix at 8 levels": coarse}
        changes |= {f"matrix {place} flattened": flattened(place) for place in range(0, 42, 10)} | {"matrix 41 flattened": flattened(41)}
        changes |= {f"matrix {place} times {factor}": scaled(place, factor) for place, factor in ((0, 1.05), (20, 1.05), (20, 1.2))}
        for name, change in changes.items():
            sys.stdout.write(f"{name}: {summary(judged_with(checkpoint, change, Path(scratch)))}\n")


if __name__ == "__main__":
    main()
