"""What a verdict looked at: the trace's weights are those of a plain pass, and its copy answers like the deployed graphs."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inspector.core.context import Context
from inspector.core.label import LabelSet
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

Let = Callable[[int, torch.Size], torch.Tensor]
"""Number of a layer and (H, R, n) to factors of that shape."""


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


def odds_when(tracer: Tracer, tiny: Tiny, context: Context, label: int, let: Let) -> float:
    """Return a label's log-odds in a plain pass of one picture in which ``let`` (H, R, n) scales each part that the last tokens read.

    ``let`` is asked for each layer; the parts are added up head by head and position by position.
    """
    prompt, model = build_prompt(tiny.tokenizer, context.description, context.labels, 2), tracer._model
    rows, heard, number = 1 + len(prompt.trie.tree_tokens), list[Any](), iter(range(len(model.decoder.layers)))

    def scaled(layer: Layer, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor] | None:
        if not heard[-1][3].shape[-2]:  # the pass of the prefix has no past
            return None
        weights, values, _ = layer.attention(*heard[-1])
        shape = layer.shape
        weights = weights.view(shape.heads, given[0].shape[1], -1)[:, -rows:]  # (H, R, n)
        parts = weights[..., None] * values[0].repeat_interleave(shape.heads // shape.kv_heads, 0)[:, None]  # (H, R, n, d)
        through = (let(next(number), weights.shape)[..., None] * parts).sum(2).transpose(0, 1)  # (R, H, d)
        changed = given[0].clone()
        changed[0, -rows:] = through.reshape(rows, -1)
        return (changed,)

    hooks = []
    for module in model.decoder.layers:
        layer = cast("Layer", module)
        hooks.append(layer.register_forward_pre_hook(lambda _, given: heard.append(given)))
        hooks.append(layer.o.register_forward_pre_hook(lambda _, given, layer=layer: scaled(layer, given)))
    try:
        with torch.no_grad():
            seen = tracer._trunk(torch.from_numpy(squared(picture(1), 128))[None])
            visit = Visit(prompt, torch.from_numpy(context.vectors), seen, torch.zeros(1, dtype=torch.long))
            p = model.log_posterior(visit)[0].double()
    finally:
        for hook in hooks:
            hook.remove()
    return float(p[label] - torch.cat([p[:label], p[label + 1 :]]).logsumexp(0))


def test_the_way_leads_from_a_token_that_reads_nothing_to_the_verdict(
    region: TracedRegion, tiny: Tiny, context: Context, tracer: Tracer
) -> None:
    label, (nothing, everything) = context.labels.names.index(region.prediction.label), region.trace.odds
    assert nothing == pytest.approx(odds_when(tracer, tiny, context, label, lambda _, shape: torch.zeros(shape)), abs=1e-4)
    assert everything == pytest.approx(odds_when(tracer, tiny, context, label, lambda _, shape: torch.ones(shape)), abs=1e-4)
    p = region.prediction.confidence
    assert everything == pytest.approx(np.log(p / (1 - p)), abs=1e-3)


def test_a_pull_is_the_slope_along_the_way_summed_up(region: TracedRegion, tiny: Tiny, context: Context, tracer: Tracer) -> None:
    """Finite differences on a fine way, for the strongest parts."""
    pulls = region.trace.parts.pulls
    label, largest, steps = context.labels.names.index(region.prediction.label), float(np.abs(pulls).max()), 48
    strongest = np.unravel_index(np.argsort(-np.abs(pulls), axis=None)[[0, 1, 5]], pulls.shape)
    for place in zip(*strongest, strict=True):
        at = (int(place[0]), int(place[1]), int(place[2]))

        def slope(factor: float, at: tuple[int, int, int] = at) -> float:
            """Return the change of the log-odds with the part of one position alone."""

            def let(number: int, shape: torch.Size, more: float) -> torch.Tensor:
                found = torch.full(shape, factor)
                found[at[1], :, at[2]] += more if number == at[0] else 0.0
                return found

            up = odds_when(tracer, tiny, context, label, lambda number, shape: let(number, shape, 0.02))
            down = odds_when(tracer, tiny, context, label, lambda number, shape: let(number, shape, -0.02))
            return (up - down) / 0.04

        total = sum(slope((step + 0.5) / steps) for step in range(steps)) / steps
        assert float(pulls[at]) == pytest.approx(total, rel=0.03, abs=0.02 * largest)


def test_pulls_of_all_places_and_of_the_label_sum_to_the_difference(tiny: Tiny, tracer: Tracer) -> None:
    """Two labels that differ in their first token: nothing is read behind the prompt, so the sum is complete."""
    labels = LabelSet(("good", "scale"), "good")
    read = Context("screw", "ball screw", labels, (), np.zeros((0, REPORT_WIDTH), np.float32))
    (prediction,), _ = OnnxPredictor(open_checkpoint(tiny.folder), threads=1).predict([("frame", picture(1))], read)
    trace = tracer.trace(picture(1), read, prediction)
    assert trace.pull.sum() == pytest.approx(trace.odds[1] - trace.odds[0], abs=0.02 * float(np.abs(trace.parts.pulls).sum()))
    assert sum(trace.pulls_by_kind.values()) == pytest.approx(float(trace.pull.sum()), abs=1e-4)


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
