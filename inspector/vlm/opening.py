"""Opening whatever checkpoint a station names: ``model.toml`` means inspector-edge on ONNX Runtime, ``config.json`` a full MiniCPM-V.

torch and transformers are imported for a full MiniCPM-V alone, and only when its predictor is opened.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from inspector.core.context import Context
from inspector.core.frame import Image
from inspector.core.label import LabelSet
from inspector.core.prediction import Prediction
from inspector.errors import CheckpointError
from inspector.settings import ModelSection
from inspector.vlm.checkpoint import Checkpoint, open_checkpoint, sha256, verify
from inspector.vlm.full_checkpoint import MODEL_TYPES, AnyCheckpoint, FullCheckpoint, file_hash, is_full, open_full, verify_full
from inspector.vlm.onnx_predictor import OnnxPredictor


class LabelledPredictor(Protocol):
    """A predictor that can say whether it knows how to write a station's labels."""

    name: str
    """``name@revision`` of the checkpoint."""
    standing: str
    """How it was held against its source when it was opened; empty if that is the parity gate's business."""

    def check_labels(self, products: Mapping[str, LabelSet]) -> None:
        """Raise ``CheckpointError`` if a product's labels cannot be written or told apart."""
        ...

    def predict(self, images: Sequence[tuple[str, Image]], context: Context) -> tuple[list[Prediction], Mapping[str, float]]:
        """Judge pictures."""
        ...


def open_any(folder: Path, model: ModelSection) -> AnyCheckpoint:
    """Return the checkpoint in a folder. Raises ``CheckpointError`` with every fault found."""
    faults = verify_any(folder)
    if faults:
        raise CheckpointError("\n".join(faults))
    return open_full(folder, model) if is_full(folder) else open_checkpoint(folder)


def weight_hashes(checkpoint: AnyCheckpoint) -> dict[str, str]:
    """Return the SHA-256 of every file that holds weights, by file name."""
    if isinstance(checkpoint, FullCheckpoint):
        return {path.name: file_hash(path) for path in checkpoint.weights}
    return {path.name: sha256(path) for part, path in checkpoint.files.items() if part != "tokenizer"}


def verify_any(folder: Path) -> list[str]:
    """Return every fault of a checkpoint's folder. Empty if it may be used."""
    if is_full(folder):
        return verify_full(folder)
    if folder.is_dir() and not (folder / "model.toml").is_file():
        kinds = f"model.toml (inspector-edge) nor config.json ({' or '.join(MODEL_TYPES)})"
        return [f"{folder}: neither {kinds} is there; set model.checkpoint to a model's folder, or fetch one: inspector models pull"]
    return verify(folder)


def open_predictor(checkpoint: AnyCheckpoint, model: ModelSection) -> LabelledPredictor:
    """Load a checkpoint. Raises ``CheckpointError`` if it cannot be used on this machine."""
    if isinstance(checkpoint, Checkpoint):
        return OnnxPredictor(checkpoint, providers=model.providers, threads=model.threads)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a working station fetches neither weights nor kernels, whatever is installed beside it
    from inspector.vlm.torch_predictor import TorchPredictor  # noqa: PLC0415 - torch and transformers for a full MiniCPM-V alone

    return TorchPredictor(checkpoint, model)
