"""The extra output: added in memory, the others unchanged; and what stands on it in the predictor."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from inspector.core.context import Context
from inspector.core.label import LabelSet
from inspector.core.normality import NormalityCalibration, PatchMemory
from inspector.errors import CheckpointError, PredictionError
from inspector.vlm.checkpoint import open_checkpoint
from inspector.vlm.graph_output import PATCHES, with_output
from inspector.vlm.onnx_predictor import OnnxPredictor, open_session
from inspector.vlm.pixels import squared
from tests.conftest import Tiny
from tests.station_kit import picture


@pytest.fixture(scope="module")
def predictor(tiny: Tiny) -> OnnxPredictor:
    return OnnxPredictor(open_checkpoint(tiny.folder), threads=1)


@pytest.fixture(scope="module")
def shipped() -> OnnxPredictor:
    """Return the shipped model: an untrained tower sees nothing."""
    return OnnxPredictor(open_checkpoint(Path(__file__).parents[2] / "models" / "inspector-edge"), threads=1)


@pytest.fixture
def context(tiny: Tiny) -> Context:
    return Context("screw", "ball screw", tiny.labels, (), np.zeros((0, 384), np.float32))


def test_the_graph_gets_one_more_output_and_is_else_the_same(tiny: Tiny) -> None:
    graph = (tiny.folder / "vision.onnx").read_bytes()
    before, after = onnx.load_from_string(graph), onnx.load_from_string(with_output(graph, PATCHES))
    assert [value.name for value in after.graph.output] == ["slots", PATCHES]
    del after.graph.output[1]
    assert after == before


def test_a_graph_without_the_tensor_is_refused(tiny: Tiny) -> None:
    with pytest.raises(CheckpointError, match="has no tensor /upper/none"):
        with_output((tiny.folder / "vision.onnx").read_bytes(), "/upper/none")


def test_slots_are_bit_for_bit_those_of_the_plain_graph(tiny: Tiny, predictor: OnnxPredictor) -> None:
    plain = open_session(predictor.checkpoint, "vision", ("CPUExecutionProvider",), 1)
    pixels = squared(picture(1), predictor.checkpoint.image_px)[None]
    assert np.array_equal(plain.run(["slots"], {"pixels": pixels})[0], predictor.image_slots([picture(1)]))


def test_a_picture_in_memory_is_normal_and_another_is_not_alone_and_in_a_batch(shipped: OnnxPredictor, context: Context) -> None:
    predictor, known, strange = shipped, picture(1), picture(2)
    features = predictor.patch_features([known])[0]
    normality = NormalityCalibration(PatchMemory.of(features.reshape(-1, features.shape[-1])), "n", 0.1, 0.9, 9, 9, predictor.name)
    asked = replace(context, normality=normality)
    together, stages = predictor.predict([("a", known), ("b", strange)], asked)
    assert [p.normality is not None and p.normality.is_normal for p in together] == [True, False]
    assert "normality" in stages
    alone = predictor.predict([("b", strange)], asked)[0][0]
    assert alone.normality is not None
    assert together[1].normality is not None
    assert alone.normality.score == pytest.approx(together[1].normality.score, rel=1e-3)
    assert predictor.predict([("b", strange)], context)[0][0].normality is None


def test_a_single_label_is_certain_and_does_not_ask_the_decoder(predictor: OnnxPredictor, context: Context) -> None:
    alone = replace(context, labels=LabelSet(("good",), "good"))
    found, _ = predictor.predict([("a", picture(1)), ("b", picture(2))], alone)
    assert [dict(p.scores) for p in found] == [{"good": 1.0}] * 2


def test_a_label_map_is_the_fall_of_the_log_odds_without_a_window(predictor: OnnxPredictor, context: Context) -> None:
    image, label = picture(3), "scale"
    found = predictor.label_map(image, context, label)
    side = predictor.checkpoint.image_px // 64
    assert found.shape == (side, side)
    assert np.isfinite(found).all()
    # At 2 x 2 slots every window covers all: nothing is left to judge by, and all places count the same.
    assert found == pytest.approx(np.full((side, side), found[0, 0]), abs=1e-4)


def test_what_spoke_for_a_label_that_is_none_is_an_error_of_the_prediction(predictor: OnnxPredictor, context: Context) -> None:
    with pytest.raises(PredictionError, match="could not tell what spoke for rust"):
        predictor.label_map(picture(3), replace(context), "rust")
