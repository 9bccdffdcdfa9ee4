"""The ablation of reports, with a predictor that answers what the newest report says."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inspector.core.context import Context
from inspector.core.decision import DecisionCalibration
from inspector.core.frame import Image
from inspector.core.label import LabelSet
from inspector.core.prediction import Prediction
from inspector.core.region import Region
from inspector.core.report import Report
from inspector.pipeline import Pipeline, Product
from inspector.settings import QualitySection
from inspector.training.ablation import ablate, foreign_answer
from inspector.training.picture import Picture
from inspector.training.simulated_lots import Lots
from tests.station_kit import picture

LABELS = LabelSet(("good", "bad"), "good")
WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)


class Credulous:
    """Believes the newest report; without one, or with one that it does not understand, it is in doubt and says good."""

    name = "credulous@1"

    def predict(self, images: Sequence[tuple[str, Image]], context: Context) -> tuple[list[Prediction], Mapping[str, float]]:
        word = context.reports[-1].text if context.reports else ""
        bad = {"bad": 0.9, "good": 0.1}.get(word, 0.45)
        return [Prediction(region, {"good": 1 - bad, "bad": bad}, (), self.name) for region, _ in images], {}


class OfLots:
    """Reports that tell each lot's label."""

    def __init__(self) -> None:
        self.asked = 0

    def relevant(self, product: str, station: str, lot: str | None, before: datetime) -> tuple[tuple[Report, ...], NDArray[np.float32]]:
        self.asked += 1
        if lot == "none":
            return (), np.zeros((0, 2), np.float32)
        return (Report(f"r-{lot}", WRITTEN, product, str(lot).partition("-")[0]),), np.ones((1, 2), np.float32)


def pictures(folder: Path) -> list[Picture]:
    found = []
    for number in range(12):
        label = ("good", "bad")[number % 2]
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), picture(number))
        found.append(Picture(path, label, "val", f"{label}-{number}", lot="none" if number == 11 else f"{label}-{number % 4}"))
    return found


@pytest.fixture
def pipeline() -> Pipeline:
    product = Product("screw", LABELS, DecisionCalibration())
    return Pipeline(Credulous(), OfLots(), {"screw": product}, "screw", {"frame": Region("frame")}, QualitySection())


def test_reports_that_tell_the_truth_help_and_wrong_ones_show_their_price(pipeline: Pipeline, tmp_path: Path) -> None:
    told = list[int]()
    foreign = foreign_answer(lambda texts: np.zeros((len(texts), 2), np.float32), 3)
    found = ablate(pipeline, "screw", pictures(tmp_path), "s1", foreign, lambda: told.append(1))
    accuracy = {case: measures.accuracy.value for case, measures in found.measures.items()}
    assert accuracy["on"] == pytest.approx(11 / 12), "one part has no report and is called good"
    assert accuracy["off"] == accuracy["foreign"] == 0.5
    assert accuracy["shuffled"] < accuracy["on"]
    assert found.with_reports == 11
    assert (found.ambiguous, found.ambiguous_errors["off"], found.ambiguous_errors["on"]) == (12, 6, 1)
    assert found.against_off["on"].value == pytest.approx(5 / 12)
    assert found.against_off["on"].low > 0
    assert (found.against_off["off"].value, found.against_off["off"].high) == (0.0, 0.0)
    assert len(told) == 48
    assert [len(inspection.predictions) for inspection in found.cases["foreign"].inspections] == [1] * 12
    document = found.to_dict()
    assert document["ambiguous"]["errors"] == {"on": 1, "off": 6, "shuffled": found.ambiguous_errors["shuffled"], "foreign": 6}


def test_shuffled_reports_are_those_of_another_part(pipeline: Pipeline, tmp_path: Path) -> None:
    chosen = pictures(tmp_path)[:2]
    foreign = foreign_answer(lambda texts: np.zeros((len(texts), 2), np.float32), 1)
    found = ablate(pipeline, "screw", chosen, "s1", foreign)
    labels = {case: [inspection.label for inspection in judged.inspections] for case, judged in found.cases.items()}
    assert labels["on"] == ["good", "bad"]
    assert labels["shuffled"] == ["bad", "good"]


def test_made_up_lots_take_the_place_of_the_stations_reports(pipeline: Pipeline, tmp_path: Path) -> None:
    chosen = pictures(tmp_path)
    encode = lambda texts: np.zeros((len(texts), 2), np.float32)  # noqa: E731 - the credulous one reads the words
    answers = tuple(((Report(f"r{i}", WRITTEN, "screw", picture.label),), np.zeros((1, 2), np.float32)) for i, picture in enumerate(chosen))
    priors = np.array([[0.8, 0.2] if picture.label == "good" else [0.2, 0.8] for picture in chosen])
    found = ablate(pipeline, "screw", chosen, "s1", foreign_answer(encode, 1), lots=Lots(answers, priors))
    assert isinstance(pipeline.reports, OfLots)
    assert pipeline.reports.asked == 0
    assert found.with_reports == 12
    assert found.measures["on"].accuracy.value == 1.0
    assert found.ambiguous_errors["off"] == 6
    assert found.oracle_errors == 0
    assert found.to_dict()["ambiguous"]["oracle"] == 0
