"""What teaching a full MiniCPM-V costs on this machine: memory and time of a step, beside what was planned."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from inspector.core.frame import Image
from inspector.core.label import LabelSet
from inspector.settings import ModelSection
from inspector.training.full_model.adapters import adapted
from inspector.training.full_model.learner import FullLearner
from inspector.training.full_model.plan import VISIT, refuse_too_large_to_train, training_bytes, training_section
from inspector.training.full_model.pool import FullVisit, Seen
from inspector.vlm.full_checkpoint import open_full
from inspector.vlm.full_prompt import build_full_prompt
from inspector.vlm.report_projector import ReportProjector
from inspector.vlm.torch_predictor import TorchPredictor

_LABELS = LabelSet(("good", "scale", "scale_pit", "scale_crack"), "good")
_REPORTS, _STEPS = 4, 2


@dataclass(frozen=True, slots=True)
class TeachingCost:
    """A step of teaching with pictures of noise."""

    model: str
    """Model type, precision and device."""
    pictures: int
    """Pictures of a step, 448 x 448 pixels."""
    learning: int
    """Numbers that learn: adapters and report projector."""
    planned_bytes: int
    """Memory that was planned, for pictures of as many slices as [model] allows."""
    peak_bytes: int
    """Most memory that was in use."""
    seen_s: float
    """Seconds in which the pictures were seen, once."""
    step_s: float
    """Seconds of a step, the shorter of two."""


def measure_teaching(folder: Path, model: ModelSection) -> TeachingCost:
    """Load a checkpoint and make two steps. Raises ``CheckpointError`` if it would not fit."""
    model = training_section(model)
    checkpoint = open_full(folder, model)
    refuse_too_large_to_train(checkpoint, model)
    predictor = TorchPredictor(checkpoint, model)
    learner = FullLearner(
        predictor, adapted(predictor.model, checkpoint), ReportProjector(384, checkpoint.config["text_config"]["hidden_size"], 0.02)
    )
    prompt = build_full_prompt(predictor.processor.tokenizer, "ball screw", _LABELS, _REPORTS)
    began_s = time.perf_counter()
    seen = []
    for number in range(VISIT):
        frame = predictor.processor.frame(_noise(number), prompt.tail)
        with torch.no_grad():
            seen.append(Seen(frame, predictor.see([frame])[0].cpu()))
    seen_s = time.perf_counter() - began_s
    visit = FullVisit(prompt, torch.randn(_REPORTS, 384), seen, np.arange(VISIT) % len(_LABELS.names))
    step_s = _shortest_step_s(learner, visit)
    return TeachingCost(
        model=f"{checkpoint.model_type}, {model.precision} on {predictor.model.device}",
        pictures=VISIT,
        learning=sum(value.numel() for value in learner.parameters()),
        planned_bytes=training_bytes(checkpoint, model),
        peak_bytes=predictor.peak_bytes(),
        seen_s=seen_s,
        step_s=step_s,
    )


def _shortest_step_s(learner: FullLearner, visit: FullVisit) -> float:
    optimiser = torch.optim.AdamW([{"params": parameters, "lr": 2e-4 * factor} for parameters, factor in learner.rates()])
    spent = []
    for _ in range(_STEPS):
        began_s = time.perf_counter()
        learner.loss([visit], 0.02).backward()
        optimiser.step()
        optimiser.zero_grad()
        spent.append(time.perf_counter() - began_s)
    return min(spent)


def _noise(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (448, 448, 3), dtype=np.uint8)
