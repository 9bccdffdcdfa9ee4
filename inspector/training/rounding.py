"""Rounding the parts of a checkpoint to fewer bits, in place: convolutions, matrices, the embedding table.

Tried and measured by ``inspector bench --sizes``; what ships is decided by the flips it causes, not by the bytes it saves.
"""

import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16

from inspector.vlm.graph_output import PATCHES


class _Pixels(CalibrationDataReader):  # type: ignore[misc]  # it ships no types
    """Pictures for the quantiser, one at a time."""

    def __init__(self, pixels: Sequence[NDArray[np.uint8]]) -> None:
        self._left = iter(pixels)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """Return the next (1, S, S, 3) picture, None after the last."""
        one = next(self._left, None)
        return None if one is None else {"pixels": one[None]}


def round_convolutions(path: Path, within: str, pixels: Sequence[NDArray[np.uint8]]) -> None:
    """Make the convolutions below a module's name 8-bit, weights by channel, activations by range over (S, S, 3) pictures."""
    with _quiet(), tempfile.TemporaryDirectory(prefix="rounding-") as scratch:
        folded = Path(scratch) / "folded.onnx"  # the quantiser asks for the types of all tensors, which constants in the graph hide
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(folded)
        ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        kinds = {"Conv", "Clip", "Add"}
        names = [node.name for node in onnx.load(folded).graph.node if node.op_type in kinds and node.name.startswith(f"/{within}/")]
        quantize_static(
            str(folded), str(path), _Pixels(pixels), quant_format=QuantFormat.QDQ, op_types_to_quantize=sorted(kinds),
            nodes_to_quantize=names, per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip


def round_activations(path: Path) -> None:
    """Make matrices 8-bit by channel and what is multiplied with them 8-bit by its range in each run."""
    with _quiet():
        quantize_dynamic(str(path), str(path), op_types_to_quantize=["MatMul", "Gemm"], weight_type=QuantType.QInt8, per_channel=True)


def halve(path: Path) -> None:
    """Make a graph's weights and arithmetic float16; inputs, outputs and the tower's last map stay float32."""
    model = onnx.load(path)
    if any(PATCHES in node.output for node in model.graph.node):  # an output while it is converted, so that it keeps its type
        model.graph.output.append(helper.make_tensor_value_info(PATCHES, TensorProto.FLOAT, None))
    with _quiet():
        halved = convert_float_to_float16(model, keep_io_types=True)
    kept = [entry for entry in halved.graph.output if entry.name != PATCHES]
    del halved.graph.output[:]
    halved.graph.output.extend(kept)
    onnx.save(halved, path)


def round_table(path: Path, bits: int) -> int:
    """Round each row of a float16 table to ``bits``, with a scale a row; return the bytes it would take. The file stays float16."""
    table = np.load(path).astype(np.float32)  # (V, D)
    most = float((1 << (bits - 1)) - 1)
    scale = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-12) / most
    np.save(path, (np.round(table / scale) * scale).astype(np.float16))
    return table.size * bits // 8 + 2 * len(table)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantisers' advice to themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
