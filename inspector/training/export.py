"""Export of a trained ``inspector-edge``: three ONNX graphs, the embedding table, the tokenizer and model.toml.

At 8 bits the matrices of decoder and merger are rounded and the rest stays in float32. At 4 bits everything is narrow: matrices and
embedding table on grids of 4 bits, the report projector and the upper tower's 1 x 1 convolutions in 8 bits by output channel, the other
convolutions in float16. ``narrowing`` teaches a model to bear that.
"""

import gzip
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import nn

from inspector.training.decoder import Decoder
from inspector.training.edge_model import EdgeModel
from inspector.training.grids import Grid, Width, round_to_grid
from inspector.training.narrow_graph import module_of, narrow_matrices, store_narrow
from inspector.training.padding import fuse_padding
from inspector.training.tower import Trunk
from inspector.vlm.checkpoint import FORMAT, PACKED_FORMAT, sha256
from inspector.vlm.embedding import pack

OPSET = 21
"""ONNX operator set of all graphs."""
Precision = Literal["float32", "int8", "int4"]
"""How many bits a checkpoint's weights have; see above."""
MATRIX_WIDTHS = {"int8": Width(8, 32), "int4": Width(4, 64)}
"""How narrow the matrices of decoder and merger are."""
EMBEDDING_WIDTH = Width(4, 32)
"""How narrow the embedding table is in a checkpoint of 4 bits."""
TOKENIZER = "tokenizer.json.gz"
"""File of the tokenizer."""


class _Vision(nn.Module):
    """Trunk, upper tower and merger in one graph."""

    def __init__(self, trunk: Trunk, model: EdgeModel) -> None:
        super().__init__()
        self.trunk, self.upper, self.merger = trunk, model.upper, model.merger

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, S, S, 3) uint8 -> (B, I, D)."""
        features = self.trunk(pixels)
        slots: torch.Tensor = self.merger(features, self.upper(features))
        return slots


class _Decoder(nn.Module):
    """Decoder that returns the branching nodes alone."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self, embeds: torch.Tensor, positions: torch.Tensor, bias: torch.Tensor, past: torch.Tensor, nodes: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (B, N, D) hidden states at ``nodes`` (N,) and the new keys and values."""
        hidden, present = self.decoder(embeds, positions, bias, past, nodes)
        return hidden, present


def export_checkpoint(  # noqa: PLR0913 - a checkpoint's parts
    folder: Path,
    name: str,
    trunk: Trunk,
    model: EdgeModel,
    tokenizer: Tokenizer,
    *,
    side: int,
    encoder: str,
    precision: Precision = "int8",
    grids: Mapping[str, Grid] | None = None,
) -> None:
    """Write a checkpoint folder that ``open_checkpoint`` accepts; ``grids`` are those that the model has learnt on, by their modules."""
    folder.mkdir(parents=True, exist_ok=True)
    model.eval()
    trunk.eval()
    _export_vision(folder / "vision.onnx", trunk, model, side)
    _export_projector(folder / "projector.onnx", model)
    _export_decoder(folder / "decoder.onnx", model)
    if precision != "float32":
        for file in ("vision.onnx", "decoder.onnx"):
            narrow_matrices(folder / file, MATRIX_WIDTHS[precision], grids)
    if precision == "int4":
        store_narrow(folder / "vision.onnx", lambda node, shape: module_of(node).startswith("upper.") and shape[2:] == (1, 1))
        store_narrow(folder / "projector.onnx", lambda _node, _shape: True)
    np.save(folder / "embedding.npy", _table(model.embedding, precision, grids or {}))
    (folder / TOKENIZER).write_bytes(gzip.compress(tokenizer.to_str(pretty=False).encode(), mtime=0))
    shape = model.decoder.shape
    sizes = {
        "image_px": side,
        "image_slots": (side // 64) ** 2,
        "width": shape.width,
        "layers": shape.layers,
        "kv_heads": shape.kv_heads,
        "head_width": shape.head_width,
        "report_width": model.projector.mean.numel(),
        "rope_theta": shape.rope_theta,
        "norm_epsilon": shape.norm_eps,
    }
    write_model_toml(folder, name, sizes, encoder)


def write_model_toml(folder: Path, name: str, sizes: Mapping[str, float], encoder: str) -> None:
    """Write model.toml with the hash of every file."""
    files = {"vision": "vision.onnx", "projector": "projector.onnx", "decoder": "decoder.onnx", "embedding": "embedding.npy"}
    files["tokenizer"] = TOKENIZER
    packed = np.load(folder / files["embedding"], mmap_mode="r").dtype == np.uint8
    lines = [f"format = {PACKED_FORMAT if packed else FORMAT}", f'name = "{name}"', f'encoder = "{encoder}"', "", "[sizes]"]
    lines += [f"{key} = {value}" for key, value in sizes.items()]
    for part, file in files.items():
        path = folder / file
        lines += ["", f"[files.{part}]", f'file = "{file}"', f"bytes = {path.stat().st_size}", f'sha256 = "{sha256(path)}"']
    (folder / "model.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _table(embedding: torch.Tensor, precision: Precision, grids: Mapping[str, Grid]) -> NDArray[np.float16] | NDArray[np.uint8]:
    """Return the embedding table as it is stored."""
    if precision != "int4" or embedding.shape[1] % (2 * EMBEDDING_WIDTH.block):
        return np.asarray(embedding.numpy(), np.float16)
    grid = grids.get("embedding") or round_to_grid(embedding, EMBEDDING_WIDTH)
    return pack(grid.levels, grid.scales, grid.zeros)


def _export_vision(path: Path, trunk: Trunk, model: EdgeModel, side: int) -> None:
    pixels = torch.zeros(2, side, side, 3, dtype=torch.uint8)
    _export(path, _Vision(trunk, model), {"pixels": pixels}, ["slots"], {"pixels": {0: "B"}})
    fuse_padding(path)


def _export_projector(path: Path, model: EdgeModel) -> None:
    _export(path, model.projector, {"vectors": torch.zeros(2, model.projector.mean.numel())}, ["slots"], {"vectors": {0: "R"}})


def _export_decoder(path: Path, model: EdgeModel) -> None:
    shape, tokens, past = model.decoder.shape, 5, 7
    inputs = {
        "embeds": torch.randn(2, tokens, shape.width),
        "positions": torch.arange(past, past + tokens),
        "bias": torch.zeros(tokens, past + tokens),
        "past": torch.randn(shape.layers, 2, 1, shape.kv_heads, past, shape.head_width),
        "nodes": torch.tensor([3, 4]),
    }
    axes: dict[str, dict[int, str]] = {
        "embeds": {0: "B", 1: "T"},
        "positions": {0: "T"},
        "bias": {0: "T", 1: "S"},
        "past": {4: "P"},
        "nodes": {0: "N"},
    }
    scaled = _Decoder(model.decoder)
    weight = model.decoder.norm.weight
    original = weight.detach().clone()
    with torch.no_grad():  # the learnt scale of the label logits is folded into the final norm
        weight.mul_(model.logit_scale.exp())
    try:
        _export(path, scaled, inputs, ["hidden", "present"], axes)
    finally:
        with torch.no_grad():
            weight.copy_(original)


def _export(path: Path, module: nn.Module, inputs: dict[str, torch.Tensor], outputs: list[str], axes: dict[str, dict[int, str]]) -> None:
    """Trace a module into one self-contained file."""
    path.unlink(missing_ok=True)
    keywords: dict[str, Any] = {"input_names": list(inputs), "output_names": outputs, "dynamic_axes": axes, "opset_version": OPSET}
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's remarks on shapes; the result is compared with the source in the tests
        torch.onnx.export(module.eval(), tuple(inputs.values()), str(path), dynamo=False, **keywords)
