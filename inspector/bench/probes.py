"""Probes: two units of this machine, taken between the frames of a bench, so that its stages can be told in something that moves with them.

A matrix product in float32 by the same runtime on the same threads, and a write of 4 KiB that waits for the disk. Where other work slows
the bench down, it slows its probes down as well: a stage that takes 3 products today should take 3 products tomorrow.
"""

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from inspector.vlm.onnx_session import session_options

SIDE = 512
"""Rows and columns of the product's matrices."""
_FLOPS = 2 * SIDE**3
_IN_A_ROW = 6
"""Products of one turn: about as long as a stage, so that other work interrupts them as often."""


class Probes:
    """The units, with what they took so far."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Open the product's graph and a file below ``folder``."""
        self._session = ort.InferenceSession(_product(), session_options(threads), providers=["CPUExecutionProvider"])
        self._matrix = np.random.default_rng(0).standard_normal((SIDE, SIDE), np.float32)
        self._file = (folder / "probe").open("wb", buffering=0)
        self._gemm_ms: list[float] = []
        self._sync_ms: list[float] = []

    def __enter__(self) -> Self:
        """Return the probes."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the file."""
        self._file.close()

    def turn(self) -> None:
        """Take the product some times in a row and the write once."""
        began = time.perf_counter()
        for _ in range(_IN_A_ROW):
            self._session.run(None, {"a": self._matrix})
        multiplied = time.perf_counter()
        self._file.seek(0)
        self._file.write(bytes(4096))
        os.fdatasync(self._file.fileno())
        self._gemm_ms.append(1e3 * (multiplied - began) / _IN_A_ROW)
        self._sync_ms.append(1e3 * (time.perf_counter() - multiplied))

    @property
    def gemm_ms(self) -> float:
        """Median of one product, milliseconds."""
        return float(np.median(self._gemm_ms))

    @property
    def sync_ms(self) -> float:
        """Median of the write, milliseconds."""
        return float(np.median(self._sync_ms))

    @property
    def gflops(self) -> float:
        """Rate of the product, 10^9 operations a second."""
        return _FLOPS / self.gemm_ms / 1e6


def _product() -> bytes:
    """Return a graph: (512, 512) float32 -> its product with a constant matrix."""
    weights = np.random.default_rng(1).standard_normal((SIDE, SIDE), np.float32)
    shape = [SIDE, SIDE]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, shape)],
        [onnx.numpy_helper.from_array(weights, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    serialised: bytes = model.SerializeToString()
    return serialised
