"""Export of a full MiniCPM-V's vision side, vision tower and merger, as one ONNX graph for slices of any size.

transformers reads slices packed one behind the other and cuts them apart in Python loops, which no graph can hold. Here slices of one grid
stand side by side as a batch, and what depends on the grid (positions, windows, merged blocks) comes in as indices, so one graph serves all
sizes. The weights are the checkpoint's, in float32; ``vision_side`` runs it and holds it against transformers' own pass.

B slices, N patches of a slice, p side of a patch, D width of the tower, M slots of a slice.
"""

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import torch
from torch import nn
from torch.nn import functional

from inspector.errors import CheckpointError
from inspector.settings import ImageTokens
from inspector.vlm.full_checkpoint import FullCheckpoint, graph_path
from inspector.vlm.full_loading import FullModel
from inspector.vlm.vision_side import indices_of, write_record

OPSET = 21
"""ONNX operator set."""
_ONE_FILE_BYTES = 1_500_000_000
"""Larger graphs keep their weights in a file of their own: one of 2 GB cannot be read."""


class _Vision(nn.Module):
    """Vision tower and merger over slices of one grid."""

    def __init__(self, model: FullModel, image_tokens: ImageTokens) -> None:
        super().__init__()
        tower = model.model.vision_tower
        self.embeddings, self.layers, self.norm = tower.embeddings, tower.encoder.layers, tower.post_layernorm
        self.insert_at = tower.config.insert_layer_id if image_tokens == "16x" else -1
        self.windows, self.merger = tower.vit_merger, model.model.merger.mlp

    def forward(self, patches: torch.Tensor, positions: torch.Tensor, windows: torch.Tensor, blocks: torch.Tensor) -> torch.Tensor:
        """Return (B, M, width) slots of (B, 3, p, N * p) patches; positions (N,), windows (N,) and blocks (M * 4,) are indices."""
        x = self.embeddings.patch_embedding(patches).flatten(2).transpose(1, 2)  # (B, N, D)
        x = x + self.embeddings.position_embedding(positions)
        for number, layer in enumerate(self.layers):
            x = x + _attended(layer.self_attn, layer.layer_norm1(x))
            x = x + layer.mlp(layer.layer_norm2(x))
            if number == self.insert_at:
                x = self._windowed(x, windows)  # (B, N / 4, D)
        x = self.norm(x)[:, blocks]
        merged: torch.Tensor = x.reshape(x.shape[0], -1, 4 * x.shape[2])  # (B, M, 4 * D)
        mlp = self.merger[0]
        return mlp.linear_2(mlp.act(mlp.linear_1(mlp.pre_norm(merged))))

    def _windowed(self, x: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        """Merge each window of 2 x 2 patches: (B, N, D) -> (B, N / 4, D)."""
        m, count, width = self.windows, x.shape[0], x.shape[2]
        own = m.layer_norm1(x)[:, windows].reshape(-1, 4, width)  # (B * N / 4, 4, D)
        x = x[:, windows].reshape(-1, 4, width) + _attended(m.self_attn, own)
        merged = m.linear_2(m.act(m.linear_1(m.pre_norm(x.flatten(1))))) + x.mean(1)
        return merged.reshape(count, -1, width)


def _attended(module: Any, x: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - transformers' attention
    """Return what attention over all of (B, N, D) adds."""
    heads = (x.shape[0], -1, module.num_heads, module.head_dim)
    q, k, v = (project(x).reshape(heads).transpose(1, 2) for project in (module.q_proj, module.k_proj, module.v_proj))
    mixed = functional.scaled_dot_product_attention(q, k, v, scale=module.scaling)
    return module.out_proj(mixed.transpose(1, 2).reshape(x.shape))


def export_vision(checkpoint: FullCheckpoint, model: FullModel, image_tokens: ImageTokens) -> Path:
    """Write the graph of a float32 model beside its checkpoint, with its record; return its path.

    Raises ``CheckpointError`` for a model that merges otherwise than the published ones.
    """
    config = model.config
    if config.merger_times != 1 or set(config.merge_kernel_size) | set(config.vision_config.window_kernel_size) != {2}:
        raise CheckpointError(
            f"{checkpoint.folder}: merges otherwise than MiniCPM-V 4.6 and 4.7 as published; this export does not know it"
        )
    path = graph_path(checkpoint.folder, image_tokens)
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as work:
        _trace(_Vision(model, image_tokens).eval(), Path(work) / path.name, config, image_tokens)
        graph = onnx.load(Path(work) / path.name)
        for old in path.parent.glob(f"{path.stem}.*"):
            old.unlink()
        size = sum(file.stat().st_size for file in Path(work).iterdir())
        onnx.save_model(graph, path, save_as_external_data=size > _ONE_FILE_BYTES, location=f"{path.name}.data")
    write_record(checkpoint, image_tokens)
    return path


def _trace(module: _Vision, path: Path, config: Any, image_tokens: ImageTokens) -> None:  # noqa: ANN401 - transformers'
    """Trace the module into a file, and beside it what does not fit into one."""
    side, patch = 8, config.vision_config.patch_size
    indices = indices_of(side, side, config, image_tokens)
    inputs = {"patches": torch.zeros(2, 3, patch, side * side * patch)}
    inputs |= {name: torch.from_numpy(values) for name, values in indices.items()}
    axes = {"patches": {0: "B", 3: "W"}, "positions": {0: "N"}, "windows": {0: "N"}, "blocks": {0: "K"}}
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's remarks on shapes; the result is compared with transformers' pass
        torch.onnx.export(
            module, tuple(inputs.values()), str(path), input_names=list(inputs), output_names=["slots"], dynamic_axes=axes,
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip
