"""The roofline: how many operations the graphs need for a verdict, counted from the shapes of every product that is run.

A verdict can be no faster than its operations divided by the rate of a large matrix product on the same threads (Williams, Waterman and
Patterson 2009, "Roofline"). 8-bit products may pass it: the rate is that of float32.
"""

import json
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnxruntime as ort
from numpy.typing import NDArray

from inspector.bench.loads import Load
from inspector.core.context import Context
from inspector.core.frame import Frame
from inspector.pipeline import Pipeline
from inspector.vlm.onnx_predictor import OnnxPredictor


@dataclass(frozen=True, slots=True)
class Roofline:
    """A verdict's operations against the machine."""

    flops: int
    """Operations of vision and decoder for one frame."""
    gflops: float
    """Rate of a large float32 product in the same run, 10^9 operations a second."""
    took_ms: float
    """Median of vision and decode together, milliseconds."""

    @property
    def over(self) -> float:
        """How many times the least possible time was taken."""
        return self.took_ms * self.gflops * 1e6 / self.flops

    def to_dict(self) -> dict[str, float]:
        """Return the numbers for JSON."""
        return {"flops": self.flops, "gemm_gflops": round(self.gflops, 1), "took_ms": round(self.took_ms, 2), "over": round(self.over, 2)}


def roofline(pipeline: Pipeline, frame: Frame, load: Load, gflops: float) -> Roofline | None:
    """Return the roofline of a load whose frames are like this one; None for a full MiniCPM-V, whose graphs are not ONNX."""
    images, fault = pipeline.cut(replace(frame, grabbed_ns=time.monotonic_ns()))
    predictor = pipeline.predictor
    if fault or not isinstance(predictor, OnnxPredictor):
        return None
    inputs = predictor.graph_inputs(images[0][1], context_of(pipeline, frame))
    flops = sum(count_flops(predictor.checkpoint.files[part], values) for part, values in inputs.items())
    return Roofline(flops * len(images), gflops, load.stages["vision"]["p50_ms"] + load.stages["decode"]["p50_ms"])


def context_of(pipeline: Pipeline, frame: Frame) -> Context:
    """Return what the model reads beside a frame that is taken now."""
    name = frame.product or pipeline.default_product
    product = pipeline.products[name]
    reports, vectors = pipeline.reports.relevant(name, frame.station, frame.lot, datetime.now(UTC))
    return Context(name, product.description, product.labels, reports, vectors)


def count_flops(graph: Path, inputs: Mapping[str, NDArray[Any]]) -> int:
    """Return the operations of one run: two for each multiplication in a convolution or a matrix product, the rest is not counted.

    The graph is run once as it is written, without fusions, and ONNX Runtime's profile tells the shapes.
    """
    with tempfile.TemporaryDirectory(prefix="inspector-flops-") as scratch:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(scratch) / "profile")
        session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        session.run(None, dict(inputs))
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    nodes = [event["args"] for event in events if event.get("cat") == "Node" and "input_type_shape" in event["args"]]
    return sum(_flops(node["op_name"], _shapes(node["input_type_shape"]), _shapes(node["output_type_shape"])) for node in nodes)


def _flops(kind: str, inputs: Sequence[Sequence[int]], outputs: Sequence[Sequence[int]]) -> int:
    """Return the operations of one node."""
    if kind in {"Conv", "ConvInteger"}:  # weights (out, in / groups, h, w)
        return 2 * math.prod(outputs[0]) * math.prod(inputs[1][1:])
    if kind == "QLinearConv":  # picture, scale, zero, weights
        return 2 * math.prod(outputs[0]) * math.prod(inputs[3][1:])
    if kind in {"MatMul", "MatMulNBits", "MatMulInteger", "Gemm"}:  # (..., rows, depth)
        return 2 * math.prod(outputs[0]) * inputs[0][-1]
    return 0


def _shapes(typed: Sequence[Mapping[str, Sequence[int]]]) -> list[Sequence[int]]:
    return [shape for entry in typed for shape in entry.values()]
