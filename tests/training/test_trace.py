"""What a verdict looked at: the trace's weights are those of a plain pass, and its copy answers like the deployed graphs."""

from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inspector.core.context import Context
from inspector.core.report import Report
from inspector.training.decoder import Layer, causal_bias
from inspector.training.edge_model import Visit
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
def tracer(tiny: Tiny) -> Tracer:
    return Tracer(open_checkpoint(tiny.folder))


@pytest.fixture(scope="module")
def region(tiny: Tiny, context: Context, tracer: Tracer) -> TracedRegion:
    checkpoint = open_checkpoint(tiny.folder)
    watched = Watched(OnnxPredictor(checkpoint, threads=1))
    predictions, stages = watched.predict([("frame", picture(1))], context)
    assert watched.name.startswith("tiny@")
    assert set(stages) == {"prefill", "pixels", "vision", "decode"}
    (seen,) = watched.seen
    assert seen[2] is predictions[0]
    return TracedRegion(*seen, tracer.trace(*seen))


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
    parts = region.trace.parts
    assert parts.weights == pytest.approx(plain_weights(tiny, context), abs=1e-5)
    for rows in (parts.weights, parts.mixed, parts.mixed_by_head):
        assert rows.sum(-1) == pytest.approx(1.0, abs=1e-5)


def odds(tracer: Tracer, visit: Visit, label: int, place: tuple[int, int, int], factor: float) -> float:
    """Return a label's log-odds with ``factor`` times more of what one head of one layer takes from one position.

    It is added at the verdict token and in the label tree behind it, to what the head hands to the output matrix.
    """
    number, head, position = place
    layer = cast("Layer", tracer._model.decoder.layers[number])
    heard: list[Any] = []

    def more(given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor] | None:
        if not heard[-1][3].shape[-2]:  # the pass of the prefix has no past
            return None
        weights, values, _ = layer.attention(*heard[-1])
        shape, tree = layer.shape, len(visit.prompt.trie.tree_tokens)
        rows = weights.view(shape.heads, given[0].shape[1], -1)[head, -1 - tree :, position]
        changed, d = given[0].clone(), shape.head_width
        part = rows[:, None] * values[0, head // (shape.heads // shape.kv_heads), position]
        changed[0, -1 - tree :, head * d : head * d + d] += factor * part
        return (changed,)

    hooks = [
        layer.register_forward_pre_hook(lambda _, given: heard.append(given)),
        layer.o.register_forward_pre_hook(lambda _, given: more(given)),
    ]
    try:
        with torch.no_grad():
            p = tracer._model.log_posterior(visit)[0].double()
    finally:
        for hook in hooks:
            hook.remove()
    return float(p[label] - torch.cat([p[:label], p[label + 1 :]]).logsumexp(0))


def test_a_pull_is_how_far_the_log_odds_move_with_its_part(region: TracedRegion, tiny: Tiny, context: Context, tracer: Tracer) -> None:
    pulls, rng = region.trace.parts.pulls, np.random.default_rng(2)
    prompt = build_prompt(tiny.tokenizer, context.description, context.labels, 2)
    with torch.no_grad():
        seen = tracer._trunk(torch.from_numpy(squared(picture(1), 128))[None])
    visit = Visit(prompt, torch.from_numpy(context.vectors), seen, torch.zeros(1, dtype=torch.long))
    label, largest = context.labels.names.index(region.prediction.label), float(np.abs(pulls).max())
    strongest = np.unravel_index(np.argsort(-np.abs(pulls), axis=None)[:5], pulls.shape)
    drawn = [rng.integers(count, size=10) for count in pulls.shape]
    for place in [*zip(*strongest, strict=True), *zip(*drawn, strict=True)]:
        at = (int(place[0]), int(place[1]), int(place[2]))
        slope = (odds(tracer, visit, label, at, 0.02) - odds(tracer, visit, label, at, -0.02)) / 0.04
        assert float(pulls[at]) == pytest.approx(slope, rel=0.02, abs=0.01 * largest), at


def test_the_copy_answers_like_the_deployed_graphs(region: TracedRegion) -> None:
    assert region.trace.difference < 1e-4


def test_every_position_is_a_word_a_report_or_a_part_of_the_picture(region: TracedRegion) -> None:
    trace = region.trace
    places = [*trace.words, *trace.reports_at.tolist(), *trace.picture_at.tolist()]
    assert sorted(places) == list(range(trace.parts.weights.shape[-1]))
    text = "".join(word for _, word in sorted(trace.words.items()))
    assert text == "Product: ball screw. Labels: good, scale, scale pit, scale crack. Reports:. Picture: Verdict:"
    assert trace.picture.shape == (2, 2)
    assert sum(trace.by_layer()[0].values()) == pytest.approx(1.0, abs=1e-5)


def test_the_page_shows_reports_by_weight_and_hides_no_markup_in_them(region: TracedRegion) -> None:
    page = trace_page("s1: part", {"model": "tiny@0"}, [region])
    assert "&lt;pit&gt; 0" in page
    assert "<pit>" not in page
    shares = [row.share for row in region.reports()]
    assert shares == sorted(shares, reverse=True)
    assert region.to_dict()["copy_differs_by"] == region.trace.difference


def test_the_overlay_is_brightest_where_the_weight_is(region: TracedRegion) -> None:
    black = np.zeros((100, 200, 3), np.uint8)
    lit = heat(black, np.array([[0, 0], [0, 1]], np.float32)).sum(-1).astype(int)
    assert lit.shape == (100, 200)
    assert lit[75, 150] > lit[25, 150]
    assert lit[75, 150] > lit[75, 50]
    assert side_by_side(region).shape == (96, 256, 3)
