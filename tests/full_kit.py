"""Tiny MiniCPM-V checkpoints of the true classes, made on the spot: 0.3 M parameters, random weights."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.core.context import Context
from inspector.core.label import LabelSet
from inspector.core.report import Report
from inspector.settings import ModelSection
from inspector.vlm.full_checkpoint import open_full
from inspector.vlm.random_full import TINY, write_random_full
from inspector.vlm.torch_predictor import TorchPredictor

LABELS = LabelSet(("good", "scale", "scale_pit", "scale_crack"), "good")
ENCODER = "test@0"


def section(**keys: Any) -> ModelSection:
    """Return [model] for a tiny full checkpoint."""
    return ModelSection.model_validate({"precision": "float32", "threads": 1, "max_slices": 4, **keys})


def write_tiny_full(folder: Path, model_type: str = "minicpmv4_6", encoder: str = ENCODER) -> Path:
    """Write a tiny checkpoint and return its folder; without an ``encoder`` it has no report projector."""
    write_random_full(folder, model_type, TINY, encoder=encoder)
    return folder


def open_tiny_full(folder: Path, **keys: Any) -> TorchPredictor:
    """Load a tiny checkpoint."""
    return TorchPredictor(open_full(folder, section(**keys)), section(**keys))


def unit_vectors(count: int, seed: int = 3) -> NDArray[np.float32]:
    """Return (count, 384) unit vectors."""
    vectors = np.random.default_rng(seed).normal(size=(count, 384)).astype(np.float32)
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def context(reports: int = 0, *, seed: int = 3, description: str = "ball screw") -> Context:
    """Return what the model reads beside the picture."""
    written = [Report(f"r{seed}-{number}", datetime(2026, 1, 1 + number, tzinfo=UTC), "screw", "pit") for number in range(reports)]
    return Context("screw", description, LABELS, tuple(written), unit_vectors(reports, seed))
