"""What a verdict looked at: the trace's weights are those of a plain pass, and its copy answers like the deployed graphs."""

from datetime import UTC, datetime
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inspector.core.context import Context
from inspector.core.report import Report
from inspector.training.decoder import Layer, causal_bias
from inspector.training.trace import Tracer, Watched
from inspector.training.trace_page import TracedRegion, heat, side_by_side, trace_page
from inspector.vlm.checkpoint import open_checkpoint
from inspector.vlm.onnx_predictor import OnnxPredictor
from inspector.vlm.pixels import squared
from inspector.vlm.prompt import build_prompt
from tests.conftest import REPORT_WIDTH, Tiny
from tests.station_kit import picture


@pytest.fixture(scope="module")
def context(tiny: Tiny) -> Context:
    vectors = np.random.default_rng(1).normal(size=(2, REPORT_WIDTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    reports = tuple(Report(f"r{number}", datetime(2026, 1, 1 + number, tzinfo=UTC), "screw", f"<pit> {number}") for number in range(2))
    return Context("screw", "ball screw", tiny.labels, reports, vectors)


@pytest.fixture(scope="module")
def region(tiny: Tiny, context: Context) -> TracedRegion:
    checkpoint = open_checkpoint(tiny.folder)
    watched = Watched(OnnxPredictor(checkpoint, threads=1))
    predictions, stages = watched.predict([("frame", picture(1))], context)
    assert watched.name.startswith("tiny@")
    assert set(stages) == {"prefill", "pixels", "vision", "decode"}
    (seen,) = watched.seen
    assert seen[2] is predictions[0]
    return TracedRegion(*seen, Tracer(checkpoint).trace(*seen))


def plain_weights(tiny: Tiny, context: Context) -> NDArray[np.float32]:
    """Return (L, H, P + T) of the last prompt token by one causal pass over everything, nothing cached."""
    model, prompt = tiny.model, build_prompt(tiny.tokenizer, context.description, context.labels, 2)
    with torch.inference_mode():
        slots = model.image_slots(tiny.trunk(torch.from_numpy(squared(picture(1), 128))[None]))[0]
        prefix = model.embedding[torch.from_numpy(np.maximum(prompt.prefix_ids, 0))]
        prefix[torch.from_numpy(prompt.slots)] = model.projector(torch.from_numpy(context.vectors))
        x = torch.cat([prefix, slots, model.embedding[torch.from_numpy(prompt.tail_ids)]])[None]
        length = x.shape[1]
        angles = torch.arange(length).float()[:, None] * model.decoder.inverse_frequency
        rotary = torch.cat([angles, angles], -1).cos(), torch.cat([angles, angles], -1).sin()
        found = []
        for index, module in enumerate(model.decoder.layers):
            layer = cast("Layer", module)
            past = model.decoder.empty_past()[index]
            weights = layer.attention(x, rotary, causal_bias(length, 0), past)[0]
            found.append(weights.view(model.decoder.shape.heads, length, length)[:, -1].numpy())
            x, _ = layer(x, rotary, causal_bias(length, 0), past)
    return np.stack(found)


def test_weights_are_those_of_a_plain_pass_and_sum_to_one(region: TracedRegion, tiny: Tiny, context: Context) -> None:
    assert region.trace.weights == pytest.approx(plain_weights(tiny, context), abs=1e-5)
    assert region.trace.weights.sum(-1) == pytest.approx(1.0, abs=1e-5)


def test_the_copy_answers_like_the_deployed_graphs(region: TracedRegion) -> None:
    assert region.trace.difference < 1e-4


def test_every_position_is_a_word_a_report_or_a_part_of_the_picture(region: TracedRegion) -> None:
    trace = region.trace
    places = [*trace.words, *trace.reports_at.tolist(), *trace.picture_at.tolist()]
    assert sorted(places) == list(range(trace.weights.shape[-1]))
    text = "".join(word for _, word in sorted(trace.words.items()))
    assert text == "Product: ball screw. Labels: good, scale, scale pit, scale crack. Reports:. Picture: Verdict:"
    assert trace.picture.shape == (2, 2)
    assert sum(trace.by_layer()[0].values()) == pytest.approx(1.0, abs=1e-5)


def test_the_page_shows_reports_by_weight_and_hides_no_markup_in_them(region: TracedRegion) -> None:
    page = trace_page("s1: part", {"model": "tiny@0"}, [region])
    assert "&lt;pit&gt; 0" in page
    assert "<pit>" not in page
    shares = [share for share, *_ in region.reports()]
    assert shares == sorted(shares, reverse=True)
    assert region.to_dict()["copy_differs_by"] == region.trace.difference


def test_the_overlay_is_brightest_where_the_weight_is(region: TracedRegion) -> None:
    black = np.zeros((100, 200, 3), np.uint8)
    lit = heat(black, np.array([[0, 0], [0, 1]], np.float32)).sum(-1).astype(int)
    assert lit.shape == (100, 200)
    assert lit[75, 150] > lit[25, 150]
    assert lit[75, 150] > lit[75, 50]
    assert side_by_side(region).shape == (96, 256, 3)
