"""Weights of few bits in an ONNX graph: matrices on grids become MatMulNBits, other weights are stored in 8 or 16 bits.

A MatMulNBits multiplies the few bits as they are. Weights that are only stored in fewer bits are expanded by plain nodes, which ONNX
Runtime computes once when it opens the graph: it then runs as fast as with float32 weights and answers the same on every provider.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inspector.training.grids import Grid, Width, round_to_grid

_LEAST_LEVEL = 95
"""The largest weight of a channel takes a level above this, of 127."""
_SMALL = 1024
"""Weights of fewer numbers than this stay as they are."""
_CHANNEL = {"Conv": 0, "Gemm": 0, "MatMul": 1}
"""Where the output channels of a weight stand; Gemm as torch exports it, with its weight transposed."""


def narrow_matrices(path: Path, width: Width, grids: Mapping[str, Grid] | None = None) -> None:
    """Replace the float32 matrices of a graph by ones of few bits, in place.

    ``grids`` are those that were learnt on, by the names of their modules; any other matrix is rounded to ``width``.
    """
    model = onnx.load(path)
    graph, known = model.graph, grids or {}
    held = {entry.name: entry for entry in graph.initializer}
    fresh, dropped = list[onnx.NodeProto](), set[str]()
    for node in graph.node:
        if node.op_type != "MatMul" or node.input[1] not in held:
            fresh.append(node)
            continue
        weight = numpy_helper.to_array(held[node.input[1]])  # (K, N)
        grid = known.get(module_of(node)) or round_to_grid(torch.from_numpy(weight.T.copy()), width)
        fresh += _product(graph, node, grid)
        dropped.add(node.input[1])
    _replace(graph, fresh, dropped)
    if all(entry.domain != "com.microsoft" for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, path)


def store_narrow(path: Path, is_in_8_bits: Callable[[onnx.NodeProto, tuple[int, ...]], bool]) -> None:
    """Store the float32 weights of a graph's convolutions and matrices in fewer bits, in place.

    ``is_in_8_bits`` is asked with a node and its weight's shape: 8 bits by output channel, or float16.
    """
    model = onnx.load(path)
    graph = model.graph
    held = {entry.name: entry for entry in graph.initializer if entry.data_type == TensorProto.FLOAT}
    expanding, large = list[onnx.NodeProto](), set[str]()
    for node in graph.node:
        if node.op_type not in _CHANNEL or node.input[1] not in held or node.input[1] in large:
            continue
        name, weight = node.input[1], numpy_helper.to_array(held[node.input[1]])
        if weight.size < _SMALL:
            continue
        large.add(name)
        if is_in_8_bits(node, weight.shape):
            levels, scales = round_channels(weight, _CHANNEL[node.op_type])
            graph.initializer.append(numpy_helper.from_array(levels, f"{name}_levels"))
            graph.initializer.append(numpy_helper.from_array(scales, f"{name}_scales"))
            expanding.append(helper.make_node("Cast", [f"{name}_levels"], [f"{name}_wide"], f"/{name}/Cast", to=TensorProto.FLOAT))
            expanding.append(helper.make_node("Mul", [f"{name}_wide", f"{name}_scales"], [name], f"/{name}/Mul"))
        else:
            graph.initializer.append(numpy_helper.from_array(weight.astype(np.float16), f"{name}_half"))
            expanding.append(helper.make_node("Cast", [f"{name}_half"], [name], f"/{name}/Cast", to=TensorProto.FLOAT))
    _replace(graph, [*expanding, *graph.node], large)
    onnx.save(model, path)


def round_channels(weight: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return weights in 8 bits and what to multiply them by, one number for each place on ``axis``: the one that changes them least.

    Weights that are on such a grid already stay what they are.
    """
    others = tuple(place for place in range(weight.ndim) if place != axis)
    largest = np.maximum(np.abs(weight).max(axis=others, keepdims=True), np.float32(1e-12))
    best = np.full(largest.shape, np.inf, np.float32)
    scales = np.ones_like(largest)
    for most in range(127, _LEAST_LEVEL, -1):
        tried = largest / np.float32(most)
        error = np.square(np.round(weight / tried) * tried - weight).sum(axis=others, keepdims=True)
        better = error < best
        best, scales = np.where(better, error, best), np.where(better, tried, scales)
    return np.round(weight / scales).astype(np.int8), scales.astype(np.float32)


def module_of(node: onnx.NodeProto) -> str:
    """Return the name of the torch module that a node was exported from."""
    return ".".join(node.name.strip("/").split("/")[:-1])


def packed(levels: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Pack (..., n) levels into bytes, the first of two in the lower half."""
    if bits == 8:
        return levels
    even = np.concatenate([levels, np.zeros_like(levels[..., :1])], -1) if levels.shape[-1] % 2 else levels
    return np.ascontiguousarray(even[..., ::2] | even[..., 1::2] << 4)


def _product(graph: onnx.GraphProto, node: onnx.NodeProto, grid: Grid) -> list[onnx.NodeProto]:
    """Return the nodes that multiply by a grid in place of one that multiplies by float32, and add what they read to the graph."""
    name, bits = node.input[1], grid.width.bits
    tensors: dict[str, NDArray[Any]] = {
        "levels": packed(grid.levels, bits),
        "scales16": grid.scales.reshape(-1),
        "zeros": packed(grid.zeros, bits),
    }
    graph.initializer.extend(numpy_helper.from_array(value, f"{name}_{kind}") for kind, value in tensors.items())
    rows, _, block = grid.levels.shape
    return [
        helper.make_node("Cast", [f"{name}_scales16"], [f"{name}_scales"], f"{node.name}_scales", to=TensorProto.FLOAT),
        helper.make_node(
            "MatMulNBits", [node.input[0], *(f"{name}_{kind}" for kind in ("levels", "scales", "zeros"))], node.output, node.name,
            domain="com.microsoft", K=grid.columns, N=rows, bits=bits, block_size=block, accuracy_level=4,
        ),
    ]  # fmt: skip


def _replace(graph: onnx.GraphProto, nodes: list[onnx.NodeProto], dropped: set[str]) -> None:
    """Give a graph new nodes and take weights from it that nothing reads any more."""
    kept = [entry for entry in graph.initializer if entry.name not in dropped]
    nodes = list(nodes)
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.initializer[:]
    graph.initializer.extend(kept)
