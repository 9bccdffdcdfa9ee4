"""The bench of a full MiniCPM-V: memory and time of a verdict, beside twenty tokens of free text for the same picture.

It measures a folder that lies there, or true sizes with random weights where the real ones cannot be had: time and memory are the same,
the answers mean nothing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inspector.core.context import Context
from inspector.core.frame import Image
from inspector.core.label import LabelSet
from inspector.errors import CheckpointError
from inspector.settings import ModelSection
from inspector.vlm.full_checkpoint import open_full
from inspector.vlm.memory_plan import plan_memory

FREE_TOKENS = 20
"""Length of the free text."""
_LABELS = LabelSet(("good", "scale", "scale_pit", "scale_crack"), "good")
_SMALL_BYTES = 2 << 30
"""A limit that the true sizes do not fit in."""


@dataclass(frozen=True, slots=True)
class FullCost:
    """What a full MiniCPM-V costs on this machine."""

    model: str
    """Name, precision and device."""
    load_s: float
    """Seconds to open and load it."""
    planned_bytes: int
    """Memory that was planned."""
    peak_bytes: int
    """Most resident memory of this process, or most memory on the GPU."""
    prefix_ms: float
    """The static prefix, once for each product and set of reports."""
    small_ms: float
    """A verdict on a picture of one slice, median, prefix in the cache."""
    small_stages_ms: dict[str, float]
    """Its stages, median."""
    large_ms: float
    """A verdict on a 1920 x 1080 picture, cut into slices."""
    free_text_ms: float
    """Twenty tokens of free text for the picture of one slice, by transformers' own ``generate``, prompt included."""
    refusal: str
    """What is said under a limit of 2 GiB; empty if it fits."""


def write_true_shape(folder: str, model_type: str) -> None:
    """Write a folder of true sizes with random bfloat16 weights (2.8 GB). To be run in a process of its own: it takes as much memory."""
    import torch  # noqa: PLC0415 - torch where it is needed

    from inspector.vlm.random_full import TRUE, write_random_full  # noqa: PLC0415 - as above

    write_random_full(Path(folder), model_type, TRUE, dtype=torch.bfloat16)


def measure_full(folder: Path, model: ModelSection, verdicts: int, tell: Callable[[str], None]) -> FullCost:
    """Load a checkpoint and judge pictures of noise. Raises ``CheckpointError`` if it cannot be used."""
    from inspector.vlm.torch_predictor import TorchPredictor  # noqa: PLC0415 - torch where it is needed

    refusal = _refusal(folder, model)
    tell("loading")
    began = time.perf_counter()
    checkpoint = open_full(folder, model)
    predictor = TorchPredictor(checkpoint, model)
    load_s = time.perf_counter() - began
    context = Context("part", "ball screw", _LABELS, (), np.zeros((0, 384), np.float32))
    tell("first verdict")
    small = _noise(448, 448)
    _, first = predictor.predict([("frame", small)], context)
    runs = []
    for number in range(verdicts):
        tell(f"verdict {number + 1} of {verdicts}")
        runs.append(predictor.predict([("frame", small)], context)[1])
    stages = {stage: float(np.median([run[stage] for run in runs])) for stage in runs[0]}
    tell("free text")
    began = time.perf_counter()
    predictor.free_text(small, context, FREE_TOKENS)
    free_text_ms = 1e3 * (time.perf_counter() - began)
    tell("a large picture")
    _, large = predictor.predict([("frame", _noise(1080, 1920))], context)
    return FullCost(
        model=f"{checkpoint.model_type}, {model.precision} on {predictor.model.device}",
        load_s=load_s,
        planned_bytes=plan_memory(checkpoint, model, model.precision, on_cpu=predictor.model.device.type == "cpu").total_bytes,
        peak_bytes=predictor.peak_bytes(),
        prefix_ms=first["prefill"],
        small_ms=float(np.median([sum(run.values()) for run in runs])),
        small_stages_ms=stages,
        large_ms=sum(large.values()),
        free_text_ms=free_text_ms,
        refusal=refusal,
    )


def _refusal(folder: Path, model: ModelSection) -> str:
    """Return what is said where 2 GiB are allowed."""
    from inspector.vlm.full_loading import prepare  # noqa: PLC0415 - torch where it is needed

    small = model.model_copy(update={"max_memory_bytes": _SMALL_BYTES})
    try:
        prepare(open_full(folder, small), small)
    except CheckpointError as error:
        return str(error)
    return ""


def _noise(height: int, width: int) -> Image:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)
