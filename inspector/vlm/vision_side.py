"""The vision side of a full MiniCPM-V, vision tower and merger, behind one call: by torch, or by an exported graph on ONNX Runtime.

A graph stands beside its checkpoint in ``onnx/``, with a record of the weights that it was exported from and of its own hash, and is used
only if its slots for a made-up picture in slices are those of torch on this machine: slots of other weights, or of a provider that computes
otherwise, would give verdicts that look sure and mean nothing.

n slices, N patches of a slice, p side of a patch, M slots of all slices, D width of the language model.
"""

import json
import time
import tomllib
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.vision_utils import get_vision_nearest_position_ids

from inspector.errors import CheckpointError
from inspector.settings import ImageTokens, ModelSection
from inspector.vlm.full_checkpoint import FullCheckpoint, file_hash, graph_path
from inspector.vlm.full_loading import FullModel
from inspector.vlm.onnx_session import nodes_by_provider, open_graph
from inspector.vlm.picture_processor import PictureProcessor

MAX_DEVIATION: Mapping[torch.dtype, float] = {torch.float32: 0.01, torch.bfloat16: 0.05, torch.float16: 0.02}
"""Largest deviation of a slot that is allowed, as a share of its length, by the precision in which torch computes it.

Measured on CPUs: 1e-6 in float32, .016 in bfloat16 (models/LOG.md); GPUs that multiply in TF32 have room."""
_EXPORT = "export it anew: inspector models export"


class VisionSide(Protocol):
    """What turns slices into image slots."""

    def slots(self, patches: torch.Tensor, grids: torch.Tensor) -> torch.Tensor:
        """Return the (M, D) slots of (1, 3, p, sum of N * p) patches whose grids (n, 2) are rows and columns, slice after slice."""
        ...


class TorchVision:
    """The model's own vision tower and merger."""

    def __init__(self, model: FullModel, image_tokens: ImageTokens) -> None:
        """Use the loaded model."""
        self._model, self._mode = model, image_tokens

    def slots(self, patches: torch.Tensor, grids: torch.Tensor) -> torch.Tensor:
        """See ``VisionSide``."""
        device = self._model.device
        found = self._model.model.get_image_features(patches.to(device), grids.to(device), downsample_mode=self._mode)
        return torch.cat(found.pooler_output)


class GraphVision:
    """An exported graph; slices of one grid go through it together, at most ``max_batch`` at a time."""

    def __init__(self, checkpoint: FullCheckpoint, model: ModelSection, config: Any) -> None:  # noqa: ANN401 - transformers'
        """Open the graph. Raises ``CheckpointError`` if it is not there, not of these weights, or not to be run as asked."""
        self.path = graph_path(checkpoint.folder, model.image_tokens)
        check_record(checkpoint, model.image_tokens)
        self._session = open_graph(self.path, model.providers, model.threads)
        self._inputs = {entry.name for entry in self._session.get_inputs()}
        self._config, self._mode, self._most = config, model.image_tokens, model.max_batch

    @property
    def nodes(self) -> str:
        """Which provider runs how many nodes, in words."""
        return ", ".join(f"{count} nodes on {name}" for name, count in nodes_by_provider(self._session).items())

    def slots(self, patches: torch.Tensor, grids: torch.Tensor) -> torch.Tensor:
        """See ``VisionSide``; float32 on the CPU."""
        side = patches.shape[2]
        ends = np.cumsum([int(rows) * int(columns) * side for rows, columns in grids.tolist()])
        slices = np.split(patches.float().cpu().numpy(), ends[:-1], axis=-1)  # n of (1, 3, p, N * p)
        found: dict[int, NDArray[np.float32]] = {}
        same: dict[tuple[int, int], list[int]] = {}
        for number, (rows, columns) in enumerate(grids.tolist()):
            same.setdefault((rows, columns), []).append(number)
        for (rows, columns), members in same.items():
            indices = indices_of(rows, columns, self._config, self._mode)
            feeds = {name: values for name, values in indices.items() if name in self._inputs}
            for start in range(0, len(members), self._most):
                chosen = members[start : start + self._most]
                batch = np.concatenate([slices[number] for number in chosen])
                found |= dict(zip(chosen, self._session.run(["slots"], {"patches": batch, **feeds})[0], strict=True))
        return torch.from_numpy(np.concatenate([found[number] for number in range(len(slices))]))


def hold_against_torch(graph: GraphVision, source: TorchVision, processor: PictureProcessor, dtype: torch.dtype) -> str:
    """Return how a graph's slots agree with torch's, in words. Raises ``CheckpointError`` if they do not."""
    began_s, frame = time.monotonic(), processor.frame(_made_up(processor.slice_px), "")
    with torch.inference_mode():
        expected = source.slots(frame.patches, frame.grids).float().cpu()
        deviation = torch.linalg.vector_norm(graph.slots(frame.patches, frame.grids) - expected, dim=1) / expected.norm(dim=1)
    worst = float(deviation.max()) if torch.isfinite(deviation).all() else float("inf")
    limit = MAX_DEVIATION[dtype]
    if worst > limit:
        raise CheckpointError(
            f"{graph.path}: its image slots differ from torch's on this machine by up to {worst:.2g} of their length, {limit:g} is allowed"
            f" ({graph.nodes}); {_EXPORT} {graph.path.parent.parent.name}, name other model.providers, or set model.vision to torch"
        )
    return (
        f"vision in ONNX Runtime, {graph.nodes}; parity with torch: {len(frame.grids)} slices, largest deviation {worst:.1e}"
        f" (held in {time.monotonic() - began_s:.1f} s)"
    )


def block_order(rows: int, columns: int) -> NDArray[np.int64]:
    """Return the (rows * columns,) order that puts each block of 2 x 2 places one behind the other, row by row."""
    places = np.arange(rows * columns, dtype=np.int64).reshape(rows // 2, 2, columns // 2, 2)
    return places.transpose(0, 2, 1, 3).reshape(-1)


def indices_of(rows: int, columns: int, config: Any, image_tokens: ImageTokens) -> dict[str, NDArray[np.int64]]:  # noqa: ANN401 - transformers'
    """Return what the graph needs to know of a grid of patches: their places in the position table, windows and merged blocks."""
    vision = config.vision_config
    positions = get_vision_nearest_position_ids(torch.tensor([[rows, columns]]), vision.image_size // vision.patch_size)
    merged = (rows // 2, columns // 2) if image_tokens == "16x" else (rows, columns)
    return {"positions": positions.numpy(), "windows": block_order(rows, columns), "blocks": block_order(*merged)}


def write_record(checkpoint: FullCheckpoint, image_tokens: ImageTokens) -> None:
    """Write down which weights a graph was exported from, and what its files hash to."""
    path = graph_path(checkpoint.folder, image_tokens)
    lines = ["format = 1", "", "[weights]", *(f"{json.dumps(one.name)} = {json.dumps(file_hash(one))}" for one in checkpoint.weights)]
    lines += [
        "",
        "[files]",
        *(f"{json.dumps(one.name)} = {json.dumps(file_hash(one))}" for one in sorted(path.parent.glob(f"{path.name}*"))),
    ]
    path.with_suffix(".toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def check_record(checkpoint: FullCheckpoint, image_tokens: ImageTokens) -> None:
    """Raise ``CheckpointError`` if a graph is missing, altered, or was exported from other weights."""
    path = graph_path(checkpoint.folder, image_tokens)
    record, anew = path.with_suffix(".toml"), f"{_EXPORT} {checkpoint.name} --image-tokens {image_tokens}"
    if not path.is_file() or not record.is_file():
        raise CheckpointError(
            f'{path}: model.vision is "onnx", but there is no graph for {image_tokens}; inspector models export makes it: {anew}'
        )
    try:
        table = tomllib.loads(record.read_text(encoding="utf-8"))
        weights, files = dict(table["weights"]), dict(table["files"])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{record}: cannot be read ({error}); {anew}") from error
    if weights != {one.name: file_hash(one) for one in checkpoint.weights}:
        raise CheckpointError(f"{path}: was exported from other weights than those in {checkpoint.folder}; {anew}")
    for name, expected in files.items():
        file = path.parent / name
        if not file.is_file() or file_hash(file) != expected:
            raise CheckpointError(f"{file}: is missing or altered; {anew}")


def _made_up(side: int) -> NDArray[np.uint8]:
    """Return a picture that is seen whole and in slices, (side, 2 * side, 3) uint8: fine noise on the left, coarse on the right."""
    rng, grain = np.random.default_rng(0), max(side // 8, 1)
    fine = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    coarse = rng.integers(0, 256, (-(-side // grain), -(-side // grain), 3), dtype=np.uint8)
    return np.hstack([fine, np.kron(coarse, np.ones((grain, grain, 1), np.uint8))[:side, :side]])
