"""Adapters on tiny models of the true classes: where they sit, that they learn, and that merging changes no answer."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from peft import PeftModel
from safetensors.torch import load_file

from inspector.core.frame import Image
from inspector.errors import CheckpointError
from inspector.training.full_model.adapters import adapted, merge, save_adapters
from inspector.training.full_model.learner import FullLearner
from inspector.training.full_model.pool import FullVisit, Seen
from inspector.vlm.full_prompt import build_full_prompt
from inspector.vlm.report_projector import ReportProjector
from inspector.vlm.torch_predictor import TorchPredictor
from tests.full_kit import LABELS, context, open_tiny_full, unit_vectors, write_tiny_full
from tests.station_kit import picture

MODEL_TYPES = ("minicpmv4_6", "minicpmv4_7")
IMAGES = [picture(1), picture(2, 200, 80), picture(3)]


@pytest.fixture(params=MODEL_TYPES)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_tiny_full(tmp_path / request.param, request.param)


def shaken(model: PeftModel) -> PeftModel:
    """Let adapters that change nothing change something."""
    torch.manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.2)
    return model


def scores(predictor: TorchPredictor, images: list[Image], reports: int = 2) -> NDArray[np.float64]:
    predictions, _ = predictor.predict([("frame", image) for image in images], context(reports))
    return np.array([list(prediction.scores.values()) for prediction in predictions])


def test_adapters_sit_on_the_attention_of_the_text_model_alone_in_both_kinds_of_layers(folder: Path) -> None:
    predictor = open_tiny_full(folder)
    model = adapted(predictor.model, predictor.checkpoint)
    sites = {name.split(".lora_")[0].removeprefix("base_model.model.model.") for name, p in model.named_parameters() if p.requires_grad}
    kinds = predictor.model.config.text_config.layer_types
    assert set(kinds) == {"full_attention", "linear_attention"}
    expected = set()
    for layer, kind in enumerate(kinds):
        parts = [f"self_attn.{p}_proj" for p in "qkvo"] if kind == "full_attention" else ["linear_attn.in_proj_qkv", "linear_attn.out_proj"]
        expected |= {f"language_model.layers.{layer}.{part}" for part in parts}
    assert sites == expected


def test_untrained_adapters_change_no_answer(folder: Path) -> None:
    predictor = open_tiny_full(folder)
    before = scores(predictor, IMAGES)
    adapted(predictor.model, predictor.checkpoint)
    predictor.forget()
    assert np.array_equal(scores(predictor, IMAGES), before)


def test_a_merged_model_answers_as_the_one_with_adapters_and_leaves_all_else_to_the_bit(folder: Path, tmp_path: Path) -> None:
    predictor = open_tiny_full(folder)
    plain = scores(predictor, IMAGES)
    model = shaken(adapted(predictor.model, predictor.checkpoint))
    predictor.forget()
    beside = scores(predictor, IMAGES)
    assert np.abs(beside - plain).max() > 1e-2
    merged = write_tiny_full(tmp_path / "merged", folder.name)
    merge(model, predictor.checkpoint, merged)
    assert scores(open_tiny_full(merged), IMAGES) == pytest.approx(beside, abs=1e-5)
    old, new = load_file(folder / "model.safetensors"), load_file(merged / "model.safetensors")
    assert old.keys() == new.keys()
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert changed == {name for name in old if ".layers." in name and "language_model" in name and "attn" in name} & changed
    assert len(changed) == 3 * 2 + 4
    again = write_tiny_full(tmp_path / "again", folder.name)
    merge(model, predictor.checkpoint, again)
    assert (again / "model.safetensors").read_bytes() == (merged / "model.safetensors").read_bytes()


def test_adapters_are_saved_and_loaded_by_peft_to_the_bit(folder: Path, tmp_path: Path) -> None:
    predictor = open_tiny_full(folder)
    model = shaken(adapted(predictor.model, predictor.checkpoint))
    predictor.forget()
    save_adapters(model, tmp_path)
    other = open_tiny_full(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        PeftModel.from_pretrained(other.model, str(tmp_path / "adapters"))
    assert np.array_equal(scores(other, IMAGES), scores(predictor, IMAGES))


def test_files_that_name_their_weights_otherwise_are_refused_before_anything_is_learnt(folder: Path) -> None:
    predictor = open_tiny_full(folder)
    other = open_tiny_full(folder)
    (folder / "model.safetensors").write_bytes((folder / "reports.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match=r"do not hold model\.language_model\..* under this name"):
        adapted(other.model, predictor.checkpoint)


def visit_of(predictor: TorchPredictor, reports: int, *, blind: bool = False) -> FullVisit:
    """Return pictures of two layouts with every label."""
    prompt = build_full_prompt(predictor.processor.tokenizer, "ball screw", LABELS, reports)
    seen = []
    for image in [picture(1), picture(2), picture(3, 200, 80), picture(4)]:
        frame = predictor.processor.frame(image, prompt.tail)
        with torch.inference_mode():
            seen.append(Seen(frame, predictor.see([frame])[0].clone()))
    return FullVisit(prompt, torch.from_numpy(unit_vectors(reports)), None if blind else seen, np.arange(4))


def learner_of(predictor: TorchPredictor) -> tuple[FullLearner, PeftModel]:
    model = shaken(adapted(predictor.model, predictor.checkpoint))
    torch.manual_seed(1)
    return FullLearner(predictor, model, ReportProjector(384, 64, 0.2)), model


@pytest.mark.parametrize("reports", [0, 2])
def test_the_loss_is_the_negative_logarithm_of_the_daemons_own_posterior(folder: Path, reports: int) -> None:
    predictor = open_tiny_full(folder)
    learner, _ = learner_of(predictor)
    visit = visit_of(predictor, reports)
    loss = learner.loss([visit], 0.0).item()
    images = [picture(1), picture(2), picture(3, 200, 80), picture(4)]
    expected = -np.log(scores(predictor, images, reports)[np.arange(4), np.arange(4)]).mean()
    assert loss == pytest.approx(expected, abs=1e-4)


def test_adapters_and_projector_learn_nothing_else_does_and_pictures_may_be_left_out(folder: Path) -> None:
    predictor = open_tiny_full(folder)
    learner, _ = learner_of(predictor)
    before = {name: value.clone() for name, value in predictor.model.named_parameters() if "lora" not in name}
    optimiser = torch.optim.AdamW([{"params": p, "lr": 1e-2 * factor} for p, factor in learner.rates()])
    losses = []
    for step in range(8):
        loss = learner.loss([visit_of(predictor, 2, blind=step == 3)], 0.0)
        loss.backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in learner.parameters())
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(torch.equal(before[name], value) for name, value in predictor.model.named_parameters() if "lora" not in name)


def test_recomputing_layers_changes_no_gradient(folder: Path) -> None:
    predictor = open_tiny_full(folder)
    learner, _ = learner_of(predictor)
    visit, found = visit_of(predictor, 2), []
    for kept in (False, True):
        if kept:
            predictor.model.model.language_model.activation_checkpointing_disable()
        learner.zero_grad()
        learner.loss([visit], 0.02).backward()
        found.append({name: parameter.grad.clone() for name, parameter in learner.named_parameters() if parameter.grad is not None})
    assert found[0].keys() == found[1].keys()
    assert all(torch.allclose(found[0][name], found[1][name], atol=1e-6) for name in found[0])
