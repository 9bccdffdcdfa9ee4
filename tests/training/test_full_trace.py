"""The trace of a full MiniCPM-V on tiny models of the true classes: weights of a plain pass through transformers' own forward."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from transformers.models.qwen3_5 import modeling_qwen3_5

from inspector.training.full_trace import FullTracer
from inspector.training.picture_share import Tile, laid_out
from inspector.training.trace import Trace
from inspector.training.trace_page import TracedRegion, side_by_side
from inspector.vlm.full_prompt import build_full_prompt
from inspector.vlm.prompt import SLOT
from inspector.vlm.torch_predictor import TorchPredictor
from tests.full_kit import context, open_tiny_full, write_tiny_full
from tests.station_kit import picture


@pytest.fixture(scope="module", params=("minicpmv4_6", "minicpmv4_7"))
def predictor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TorchPredictor:
    return open_tiny_full(write_tiny_full(tmp_path_factory.mktemp("full") / request.param, request.param))


@pytest.fixture(scope="module")
def traced(predictor: TorchPredictor) -> TracedRegion:
    image, read = picture(1, 200, 260), context(2)
    (prediction,), _ = predictor.predict([("frame", image)], read)
    return TracedRegion(image, read, prediction, FullTracer(predictor).trace(image, read, prediction))


def plain_weights(predictor: TorchPredictor, region: TracedRegion) -> torch.Tensor:
    """Return (H, P + T) weights of the last token in the last layer: one pass of the whole model over everything, nothing cached."""
    model, read = predictor.model, region.context
    prompt = build_full_prompt(predictor.processor.tokenizer, read.description, read.labels, 2)
    frame = predictor.processor.frame(region.image, prompt.tail)
    ids = torch.from_numpy(np.concatenate([np.maximum(prompt.prefix_ids, 0), frame.ids]))[None]
    embeds = model.get_input_embeddings()(ids)
    assert predictor._projector is not None
    embeds[0, torch.from_numpy(np.flatnonzero(prompt.prefix_ids == SLOT))] = predictor._projector(torch.from_numpy(read.vectors))
    more = {}
    if predictor.checkpoint.model_type == "minicpmv4_7":
        more["mm_token_type_ids"] = (ids == model.config.image_token_id).int()
        model.model.rope_deltas = None
    model.model.language_model.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            found = model(
                input_ids=ids, inputs_embeds=embeds, pixel_values=frame.patches, target_sizes=frame.grids,
                attention_mask=torch.ones_like(ids), output_attentions=True, **more,
            )  # fmt: skip
    finally:
        model.model.language_model.set_attn_implementation("sdpa")
    return found.attentions[-1][0, :, -1]


def test_weights_are_those_of_a_plain_pass_and_every_row_sums_to_one(predictor: TorchPredictor, traced: TracedRegion) -> None:
    assert traced.trace.parts.weights[-1] == pytest.approx(plain_weights(predictor, traced).numpy(), abs=1e-5)
    for rows in (traced.trace.parts.weights, traced.trace.parts.mixed, traced.trace.parts.mixed_by_head):
        assert rows.sum(-1) == pytest.approx(1.0, abs=1e-5)
    assert traced.trace.difference < 1e-5


def whole_pass(predictor: TorchPredictor, region: TracedRegion, place: tuple[int, int], factor: float) -> tuple[float, torch.Tensor]:
    """Return the verdict's log-odds with ``factor`` times more of what one head takes from one position, and (D,) what that adds.

    It is added at the prompt's last token and at the label's tokens, to what the head hands to the output matrix.
    """
    head, position = place
    attention = predictor.model.model.language_model.layers[3].self_attn
    d, group = attention.head_dim, head // attention.num_key_value_groups
    tracer, prompt = FullTracer(predictor), predictor.prompt(region.context)
    frame = predictor.processor.frame(region.image, prompt.tail)
    first = len(prompt.prefix_ids) + len(frame.ids) - 1
    added = torch.zeros(predictor.model.config.text_config.hidden_size)

    def more(given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        asked = heard[3].parts["asked"][0]
        gates = asked.view(len(asked), -1, 2 * d)[..., d:].sigmoid()
        scores = kept["q"][head] @ kept["k"][group].T * attention.scaling  # (N, N), after rotary positions
        weights = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -torch.inf).softmax(-1)
        changed = given[0].clone()
        changed[0, first:, head * d : head * d + d] += (
            factor * weights[first:, position, None] * kept["v"][group, position] * gates[first:, head]
        )
        added.copy_(torch.nn.functional.linear((changed - given[0])[0, first].detach(), attention.o_proj.weight))
        return (changed,)

    kept: dict[str, torch.Tensor] = {}
    with tracer._listening() as heard, keeping(kept):
        hook = attention.o_proj.register_forward_pre_hook(lambda _, given: more(given))
        try:
            odds, _ = tracer._label_odds(prompt, frame, region.context, region.prediction.label)
        finally:
            hook.remove()
    return float(odds.detach()), added


@contextmanager
def keeping(kept: dict[str, torch.Tensor]) -> Iterator[None]:
    """Keep queries, keys and values behind their rotary positions, as the last layer of full attention computes them."""
    before = modeling_qwen3_5.eager_attention_forward

    def told(module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *more: Any, **named: Any) -> Any:
        kept.update(q=query[0].detach(), k=key[0].detach(), v=value[0].detach())
        return before(module, query, key, value, *more, **named)

    modeling_qwen3_5.eager_attention_forward = told
    try:
        yield
    finally:
        modeling_qwen3_5.eager_attention_forward = before


def test_a_pull_is_how_far_the_log_odds_move_with_its_part_and_a_share_how_long_that_is(
    predictor: TorchPredictor, traced: TracedRegion
) -> None:
    parts = traced.trace.parts
    heads, length = parts.pulls.shape[1:]
    largest, rng = float(np.abs(parts.pulls).max()), np.random.default_rng(3)
    assert largest > 0
    lengths = []
    strongest = np.unravel_index(np.argsort(-np.abs(parts.pulls[0]), axis=None)[:3], parts.pulls.shape[1:])
    for place in [*zip(*strongest, strict=True), *zip(rng.integers(heads, size=5), rng.integers(length, size=5), strict=True)]:
        at = (int(place[0]), int(place[1]))
        up, added = whole_pass(predictor, traced, at, 0.1)
        down, _ = whole_pass(predictor, traced, at, -0.1)
        assert float(parts.pulls[0][at]) == pytest.approx((up - down) / 0.2, rel=0.02, abs=0.01 * largest), at
        lengths.append((at, float(added.norm())))
    for (head, position), long in lengths:  # of one head: shares are to one another as lengths are
        twin = next((one for one in lengths if one[0][0] == head and one[0][1] != position), None)
        if twin is not None:
            ratio = parts.mixed_by_head[0, head, position] / parts.mixed_by_head[0, head, twin[0][1]]
            assert float(ratio) == pytest.approx(long / twin[1], rel=1e-2)


def test_only_layers_of_full_attention_are_shown_and_that_is_said(traced: TracedRegion) -> None:
    assert (traced.trace.layers, traced.trace.of_layers, len(traced.trace.parts.weights)) == ((3,), 4, 1)
    assert traced.trace.layers_in_words.startswith("1 of 4 (numbers 3): the others are linear attention")


def test_every_position_is_a_word_a_report_or_a_part_of_the_picture(traced: TracedRegion) -> None:
    trace: Trace = traced.trace
    assert sorted([*trace.words, *trace.reports_at.tolist(), *trace.picture_at.tolist()]) == list(range(trace.parts.weights.shape[-1]))
    assert len(trace.reports) == 2
    assert sum(trace.shares.values()) == pytest.approx(1.0, abs=1e-5)
    assert "".join(text for _, text in sorted(trace.words.items())).endswith("Verdict:")


def test_slices_lie_in_their_places_and_no_share_is_lost(predictor: TorchPredictor, traced: TracedRegion) -> None:
    down, across = predictor.processor.slicing(traced.image)
    assert (down, across) != (0, 0), "the picture is large enough to be sliced"
    assert len(traced.trace.tiles) == 1 + down * across
    assert sum(tile.rows * tile.columns for tile in traced.trace.tiles) == len(traced.trace.picture_at)
    assert traced.trace.picture.sum() == pytest.approx(traced.trace.shares["picture"], abs=1e-5)
    assert side_by_side(traced).shape == (200, 520, 3)


def test_the_verdict_after_a_trace_is_the_verdict_before(predictor: TorchPredictor, traced: TracedRegion) -> None:
    (again,), _ = predictor.predict([("frame", traced.image)], traced.context)
    assert again.scores == traced.prediction.scores


def test_a_tile_is_laid_where_it_stands_and_finer_ones_decide_the_grid() -> None:
    whole = laid_out(np.array([0.4, 0.1, 0.2, 0.3], np.float32), [Tile(1, 1), Tile(1, 1, 0.0, 0.0, 0.5, 1.0), Tile(1, 2, 0.5, 0.0, 0.5)])
    assert whole == pytest.approx(np.array([[0.15, 0.15], [0.3, 0.4]]), abs=1e-6)
