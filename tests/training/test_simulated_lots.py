"""Made-up lots: reports that fit the labels they are about, and what they are worth by Bayes' rule."""

from pathlib import Path

import numpy as np
import pytest

from inspector.core.label import LabelSet
from inspector.training.blind import answers_of_reports
from inspector.training.picture import Picture
from inspector.training.simulated_lots import simulate_lots
from inspector.vlm.checkpoint import open_checkpoint

LABELS = LabelSet(("ok", "scratch", "dent"), "ok")


def by_length(texts: list[str]) -> np.ndarray:
    """One unit vector for each text: its number among the different ones."""
    return np.eye(len(texts), 500, dtype=np.float32)


def pictures(count: int) -> list[Picture]:
    return [Picture(Path(f"{i}.png"), LABELS.names[i % 3], "val", f"g{i}") for i in range(count)]


def test_reports_speak_of_the_labels_that_they_are_worth() -> None:
    lots = simulate_lots(pictures(60), LABELS, 4, by_length)
    assert lots.priors.shape == (60, 3)
    assert lots.priors.sum(1) == pytest.approx(np.ones(60))
    for (reports, vectors), prior in zip(lots.answers, lots.priors, strict=True):
        assert len(reports) == len(vectors) == 4
        named = [sum(name in report.text for report in reports) for name in ("scratch", "dent")]
        counts = prior * (4 + 3 * 0.35) - 0.35
        assert counts[1:] == pytest.approx(named)
        assert counts.sum() == pytest.approx(4)


def test_a_lot_tends_to_hold_what_its_part_is() -> None:
    lots = simulate_lots(pictures(300), LABELS, 4, by_length)
    right = (lots.priors.argmax(1) == np.arange(300) % 3).mean()
    assert 0.55 < right < 0.9, "better than a guess of one in three, and no oracle"
    again = simulate_lots(pictures(300), LABELS, 4, by_length)
    assert np.array_equal(lots.priors, again.priors)
    assert not np.array_equal(lots.priors, simulate_lots(pictures(300), LABELS, 4, by_length, seed=1).priors)


def test_a_model_can_be_asked_with_reports_alone() -> None:
    checkpoint = open_checkpoint(Path(__file__).parents[2] / "models" / "inspector-edge")
    lots = simulate_lots(pictures(6), LABELS, 2, lambda texts: np.full((len(texts), checkpoint.report_width), 0.05, np.float32))
    answers = answers_of_reports(checkpoint, "pressed part", LABELS, lots)
    assert answers.shape == (6,)
    assert set(answers) <= {0, 1, 2}
