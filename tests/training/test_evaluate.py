"""Numbers of an evaluation, by hand."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inspector.training.dataset import Picture
from inspector.training.decision_fit.evidence import tempered_rows
from inspector.training.decision_fit.temperature import fit_temperature
from inspector.training.evaluate import agreement, histories, judge_onnx, judge_torch, score
from inspector.training.visits import Pool
from inspector.vlm.checkpoint import open_checkpoint
from inspector.vlm.onnx_predictor import OnnxPredictor
from inspector.vlm.pixels import squared
from inspector.vlm.prompt import build_prompt
from tests.conftest import Tiny
from tests.station_kit import picture

POSTERIOR = np.array([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.3, 0.7, 0.0], [0.2, 0.2, 0.6]])
TARGETS = np.array([0, 1, 1, 2])


def test_accuracy_f1_likelihood_and_calibration_are_what_a_pencil_gives() -> None:
    found = score(POSTERIOR, TARGETS)
    assert (found.n, found.accuracy) == (4, 0.75)
    assert found.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert found.nll == pytest.approx(-np.log([0.9, 0.4, 0.7, 0.6]).mean())
    # bins: 0.9 (1 right), 0.6 and 0.6 (one of two right), 0.7 (right)
    assert found.ece == pytest.approx(0.25 * 0.1 + 0.5 * abs(0.5 - 0.6) + 0.25 * 0.3)


def test_a_sure_and_right_judge_scores_full_and_a_sure_and_wrong_one_nothing() -> None:
    sure = np.eye(3)
    best, worst = score(sure, np.arange(3)), score(sure, np.array([1, 2, 0]))
    assert (best.accuracy, best.macro_f1, best.ece) == (1.0, 1.0, 0.0)
    assert (worst.accuracy, worst.macro_f1, worst.ece) == (0.0, 0.0, 1.0)
    assert np.isfinite(worst.nll)
    assert best.to_dict().keys() == {"n", "accuracy", "macro_f1", "ece", "nll"}


def test_agreement_counts_flips_and_measures_distances() -> None:
    other = POSTERIOR.copy()
    other[1] = [0.4, 0.6, 0.0]
    found = agreement(POSTERIOR, other)
    assert found.flips == 1
    assert found.largest == pytest.approx(0.2)
    assert found.mean == pytest.approx(0.2 / 4)
    same = agreement(POSTERIOR, POSTERIOR)
    assert (same.flips, same.largest, same.mean) == (0, 0.0, 0.0)


def sampled(temperature: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return posteriors that are too sure by a known temperature, and labels drawn from the true ones."""
    rng = np.random.default_rng(0)
    true = rng.dirichlet([0.8, 0.8, 0.8], 4000)
    targets = np.array([rng.choice(3, p=row) for row in true], np.int64)
    return tempered_rows(true, 1 / temperature), targets


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_fitted_temperature_undoes_a_known_one(temperature: float) -> None:
    posterior, targets = sampled(temperature)
    assert fit_temperature(posterior, targets) == pytest.approx(temperature, rel=0.08)


def test_the_right_temperature_calibrates_and_changes_no_label() -> None:
    posterior, targets = sampled(2.5)
    cooled = tempered_rows(posterior, fit_temperature(posterior, targets))
    assert score(cooled, targets).ece < 0.03 < score(posterior, targets).ece
    assert score(cooled, targets).accuracy == score(posterior, targets).accuracy
    assert cooled.sum(1) == pytest.approx(np.ones(len(cooled)))


def test_a_posterior_with_certain_answers_still_has_a_temperature() -> None:
    assert 0.25 <= fit_temperature(np.eye(3), np.array([0, 1, 1])) <= 4.0


def test_source_and_export_judge_the_same_pictures_alike(tiny: Tiny, tmp_path: Path) -> None:
    import torch  # noqa: PLC0415

    pictures, images = [], []
    for number in range(3):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), cv2.cvtColor(picture(number), cv2.COLOR_RGB2BGR))
        pictures.append(Picture(path, tiny.labels.names[number], "val", f"g{number}"))
        images.append(squared(picture(number), 128))
    with torch.inference_mode():
        features = tiny.trunk(torch.from_numpy(np.stack(images))).numpy()[:, None]
    vectors = np.random.default_rng(1).normal(size=(3, 2, 384)).astype(np.float32)
    prompts = [build_prompt(tiny.tokenizer, "strip", tiny.labels, count) for count in range(3)]
    pool = Pool(tiny.labels, pictures, features, prompts, vectors)
    history = histories([np.array([1, 2]), np.empty(0, np.int64), np.array([0])], pool)
    assert [len(history(index)) for index in range(3)] == [2, 0, 1]
    assert np.array_equal(history(0), vectors[[1, 2], 0])
    source = judge_torch(tiny.model, pool, history)
    deployed = judge_onnx(OnnxPredictor(open_checkpoint(tiny.folder), threads=1), pool, "strip", history)
    assert source.sum(1) == pytest.approx(np.ones(3))
    assert agreement(source, deployed).largest < 1e-3
    assert agreement(source, deployed).flips == 0
