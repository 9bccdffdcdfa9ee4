"""A projector that begins by naming labels: unseen reports of a label are written in that label's words."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inspector.training.report_words import label_words, speak_of_labels
from inspector.vlm.checkpoint import open_checkpoint
from inspector.vlm.report_projector import ReportProjector

LABELS, WIDTH, INPUTS = 4, 48, 32
RMS = 0.136


def reports(seed: int, count: int = 200) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(n, INPUTS) unit vectors that lean towards their label's direction, and the labels."""
    directions = np.random.default_rng(0).normal(size=(LABELS, INPUTS))
    rng = np.random.default_rng(seed)
    targets = rng.integers(LABELS, size=count)
    vectors = directions[targets] + 0.6 * rng.normal(size=(count, INPUTS))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), targets


def projector() -> ReportProjector:
    """A projector with random weights that knows how reports are spread."""
    torch.manual_seed(0)
    made = ReportProjector(INPUTS, WIDTH, RMS)
    vectors, _ = reports(1)
    made.mean.copy_(torch.from_numpy(vectors.mean(0)))
    made.deviation.copy_(torch.from_numpy(vectors.std(0)))
    return made


def words() -> torch.Tensor:
    """(LABELS, WIDTH) directions of mean square 1."""
    drawn = torch.randn(LABELS, WIDTH, generator=torch.Generator().manual_seed(3))
    return drawn / drawn.pow(2).mean(1, keepdim=True).sqrt()


def named(slots: torch.Tensor) -> NDArray[np.int64]:
    """The label whose words each slot is nearest to."""
    return (slots @ words().T).argmax(1).numpy()


def test_unseen_reports_are_written_in_the_words_of_their_label() -> None:
    made, (unseen, targets) = projector(), reports(2)
    with torch.no_grad():
        before = (named(made(torch.from_numpy(unseen))) == targets).mean()
        speak_of_labels(made, words(), *reports(1))
        slots = made(torch.from_numpy(unseen))
    assert before < 0.6
    assert (named(slots) == targets).mean() > 0.95
    assert slots.pow(2).mean().sqrt().item() == pytest.approx(RMS, rel=0.01), "as loud as the language model's own words"


def test_only_the_least_used_units_are_given_over() -> None:
    made = projector()
    old = {name: value.clone() for name, value in made.state_dict().items()}
    speak_of_labels(made, words(), *reports(1))
    changed = (made.inner.weight != old["inner.weight"]).any(1)
    assert int(changed.sum()) == LABELS
    assert torch.equal(made.outer.weight[:, ~changed], old["outer.weight"][:, ~changed])
    assert torch.equal(made.scale.weight, old["scale.weight"])
    spread = (torch.from_numpy(reports(1)[0]) - made.mean) / made.deviation
    loudness = torch.nn.functional.gelu(spread @ old["inner.weight"].T + old["inner.bias"]).pow(2).mean(0).sqrt() * old[
        "outer.weight"
    ].norm(dim=0)
    assert loudness[changed].max() < loudness[~changed].min()


def test_what_is_still_learnt_can_change_all_of_it() -> None:
    made = projector()
    speak_of_labels(made, words(), *reports(1))
    made(torch.from_numpy(reports(2)[0])).pow(3).sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_labels_have_words_of_their_own() -> None:
    checkpoint = open_checkpoint(Path(__file__).parents[2] / "models" / "inspector-edge")
    table = torch.from_numpy(checkpoint.embedding().astype(np.float32))
    found = label_words(checkpoint.tokenizer(), ("rolled_in_scale", "pitted_surface", "scratches"), table)
    assert found.shape == (3, table.shape[1])
    assert found.pow(2).mean(1).tolist() == pytest.approx([1.0] * 3, rel=1e-4)
    alike = torch.corrcoef(found) - torch.eye(3)
    assert alike.max() < 0.5
