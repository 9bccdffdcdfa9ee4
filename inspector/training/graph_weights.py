"""A checkpoint's graphs back to the torch model that they came from, so that a station's training starts from what is shipped.

Every weighted node of an exported graph carries its module's path in its name (``/upper/_blocks.11/_expand_conv/Conv``), parameters that
the exporter leaves alone keep theirs, and blockwise quantised matrices are expanded again: the model that comes back answers like the
graphs, to within rounding. Batch norms were folded into their convolutions; they come back as norms that only add the bias.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from inspector.errors import CheckpointError
from inspector.training.decoder import Decoder, DecoderShape
from inspector.training.edge_model import EdgeModel
from inspector.training.tower import NORM_EPSILON, Trunk, Upper
from inspector.vlm.checkpoint import Checkpoint

_NORM_OF = {"_conv_stem": "_bn0", "_expand_conv": "_bn0", "_depthwise_conv": "_bn1", "_project_conv": "_bn2"}
"""The batch norm that was folded into each convolution."""


def model_of(checkpoint: Checkpoint) -> tuple[Trunk, EdgeModel]:
    """Return the frozen trunk and the learning parts. Raises ``CheckpointError`` if the graphs are not ``inspector-edge``'s."""
    table = torch.from_numpy(checkpoint.embedding().astype(np.float32))
    try:
        vision = dict(_weights(checkpoint.files["vision"]))
        decoder = {name.removeprefix("decoder."): value for name, value in _weights(checkpoint.files["decoder"])}
        projector = dict(_weights(checkpoint.files["projector"]))
        trunk = Trunk()
        _fill(trunk, {name.removeprefix("trunk."): value for name, value in vision.items() if name.startswith("trunk.")})
        inner = vision["merger.inner.weight"].shape[0]
        model = EdgeModel(Upper(), Decoder(_shape(checkpoint, decoder)), table, merger_inner=inner, report_width=checkpoint.report_width)
        parts = {name: value for name, value in vision.items() if not name.startswith("trunk.")}
        parts |= {f"decoder.{name}": value for name, value in decoder.items()} | {f"projector.{name}": v for name, v in projector.items()}
        _fill(model, parts | {"logit_scale": np.zeros((), np.float32), "embedding": table.numpy()})  # the scale is in the final norm
    except (KeyError, IndexError, RuntimeError) as error:
        raise CheckpointError(f"{checkpoint.folder}: its graphs are not those of inspector-edge: {str(error)[:200]}") from error
    return trunk.eval(), model.eval()


def _shape(checkpoint: Checkpoint, weights: dict[str, NDArray[np.float32]]) -> DecoderShape:
    sizes = tomllib.loads((checkpoint.folder / "model.toml").read_text(encoding="utf-8"))["sizes"]
    layers, kv_heads, head_width = checkpoint.past_shape
    inner = weights["layers.0.gate.weight"].shape[0]
    heads = checkpoint.width // head_width
    return DecoderShape(layers, checkpoint.width, inner, heads, kv_heads, float(sizes["rope_theta"]), float(sizes["norm_epsilon"]))


def _fill(module: torch.nn.Module, weights: dict[str, NDArray[np.float32]]) -> None:
    """Load weights; batch norms that were folded away become the identity plus the convolution's bias."""
    state = module.state_dict()
    for name, value in weights.items():
        convolution = re.fullmatch(r"(.*?)(_conv_stem|_expand_conv|_depthwise_conv|_project_conv)\.(weight|bias)", name)
        if convolution and convolution[3] == "bias":
            norm = f"{convolution[1]}{_NORM_OF[convolution[2]]}"
            state[f"{norm}.weight"], state[f"{norm}.running_mean"] = torch.ones(len(value)), torch.zeros(len(value))
            state[f"{norm}.running_var"], state[f"{norm}.bias"] = torch.full((len(value),), 1.0 - NORM_EPSILON), torch.from_numpy(value)
        else:
            state[name] = torch.from_numpy(value).reshape(state[name].shape)
    module.load_state_dict(state)


def _weights(path: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield (parameter name, value) of a graph."""
    graph = onnx.load(path).graph
    values = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    for node in graph.node:  # equal parameters are written once, the others point to them; narrow ones are expanded by two nodes
        if any(name not in values for name in node.input):
            continue
        if node.op_type == "Identity":
            values[node.output[0]] = values[node.input[0]]
        elif node.op_type == "Cast":
            values[node.output[0]] = values[node.input[0]].astype(helper.tensor_dtype_to_np_dtype(node.attribute[0].i))
        elif node.op_type == "Mul":
            values[node.output[0]] = values[node.input[0]] * values[node.input[1]]
    for node in graph.node:
        module = ".".join(node.name.strip("/").split("/")[:-1])
        held = [values[name] for name in node.input if name in values]
        if node.op_type == "Conv":
            yield f"{module}.weight", np.array(held[0])
            yield f"{module}.bias", np.array(held[1])
        elif node.op_type == "MatMul" and held:
            yield f"{module}.weight", np.ascontiguousarray(held[0].T)
        elif node.op_type == "MatMulNBits":
            yield f"{module}.weight", _expanded(node, held)
    named = re.compile(r"[a-z_]+(\.[a-z0-9_]+)*")
    yield from ((name, np.array(value)) for name, value in values.items() if value.dtype == np.float32 and _is_parameter(name, named))


def _is_parameter(name: str, named: re.Pattern[str]) -> bool:
    """Tell a parameter's own name from one that the exporter or the quantiser made up."""
    return bool(named.fullmatch(name)) and name.rsplit(".", 1)[-1] in {"weight", "bias", "mean", "deviation"}


def _expanded(node: onnx.NodeProto, held: list[NDArray[Any]]) -> NDArray[np.float32]:
    """Return the (out, in) float32 matrix of a blockwise quantised one (ONNX Runtime's MatMulNBits)."""
    numbers = {attribute.name: attribute.i for attribute in node.attribute}
    bits, rows, columns, size = numbers["bits"], numbers["N"], numbers["K"], numbers["block_size"]
    blocks, scales = held[0], held[1].reshape(rows, -1, 1)
    if bits == 4:
        blocks = np.stack([blocks & 15, blocks >> 4], -1).reshape(rows, -1, size)
    zero: NDArray[np.float32] | float = float(1 << (bits - 1))
    if len(held) > 2:
        packed = held[2].reshape(rows, -1)
        unpacked = np.stack([packed & 15, packed >> 4], -1).reshape(rows, -1) if bits == 4 else packed
        zero = unpacked[:, : scales.shape[1], None].astype(np.float32)
    matrix = ((blocks.astype(np.float32) - zero) * scales).reshape(rows, -1)[:, :columns]
    return np.ascontiguousarray(matrix, np.float32)
