"""Padding that stands before a convolution as a step of its own becomes the convolution's: the same numbers, without a copy of the picture.

torch knows no padding of unequal sides within a convolution, so the tower's SAME padding is exported as Pad; ONNX's Conv knows it. The 17
copies of the shipped tower, and the change of layout around each, cost more than a quarter of its time (models/LOG.md, 2026-11-25).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, utils
from onnx.reference import ReferenceEvaluator


def fuse_padding(path: Path) -> int:
    """Move every zero padding of height and width into the convolution that reads it, in place; return how many there were."""
    model = onnx.load(path)
    made = {name: node for node in model.graph.node for name in node.output}
    pairs = [
        (made[node.input[0]], node)
        for node in model.graph.node
        if node.op_type == "Conv" and node.input[0] in made and made[node.input[0]].op_type == "Pad"
    ]
    if not pairs:
        return 0
    amounts = _values(model, sorted({pad.input[1] for pad, _ in pairs}))
    for pad, convolution in pairs:
        top, left, bottom, right = _sides(pad.name, amounts[pad.input[1]])
        kept = [attribute for attribute in convolution.attribute if attribute.name not in {"pads", "auto_pad"}]
        del convolution.attribute[:]
        convolution.attribute.extend([*kept, helper.make_attribute("pads", [top, left, bottom, right])])
        convolution.input[0] = pad.input[0]
    names = ([entry.name for entry in part] for part in (model.graph.input, model.graph.output))
    pruned = utils.Extractor(model).extract_model(*names)  # what only the paddings needed goes with them
    onnx.checker.check_model(pruned)
    onnx.save(pruned, path)
    return len(pairs)


def _values(model: onnx.ModelProto, names: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Return tensors that depend on no input: weights of the graph, or what it computes from constants."""
    stored = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer if entry.name in names}
    computed = [name for name in names if name not in stored]
    if not computed:
        return stored
    model.graph.value_info.extend(helper.make_tensor_value_info(name, TensorProto.INT64, [8]) for name in computed)
    constant = utils.Extractor(model).extract_model([], computed)
    return stored | dict(zip(computed, ReferenceEvaluator(constant).run(None, {}), strict=True))


def _sides(name: str, amounts: NDArray[np.int64]) -> tuple[int, int, int, int]:
    """Return top, left, bottom and right of (8,) amounts: the begin of each of four axes, then the end of each."""
    batch, channels, top, left, batch_end, channels_end, bottom, right = (int(amount) for amount in amounts)
    if batch or channels or batch_end or channels_end:
        raise ValueError(f"{name} pads more than height and width")
    return top, left, bottom, right
