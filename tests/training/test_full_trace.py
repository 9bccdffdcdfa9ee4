"""The trace of a full MiniCPM-V on tiny models of the true classes: weights of a plain pass through transformers' own forward."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from inspector.core.context import Context
from inspector.core.label import LabelSet
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


def test_the_way_leads_to_the_verdict_and_pulls_sum_to_what_reading_did(predictor: TorchPredictor, traced: TracedRegion) -> None:
    p, trace = traced.prediction.confidence, traced.trace
    assert trace.odds[1] == pytest.approx(np.log(p / (1 - p)), abs=1e-3)
    labels = LabelSet(("good", "scale"), "good")  # nothing is read behind the prompt, so that the sum is complete
    read = replace(context(2), labels=labels)
    (prediction,), _ = predictor.predict([("frame", traced.image)], read)
    two = FullTracer(predictor).trace(traced.image, read, prediction)
    assert two.pull.sum() == pytest.approx(two.odds[1] - two.odds[0], abs=0.02 * float(np.abs(two.parts.pulls).sum()) + 1e-4)
    assert two.odds[0] == pytest.approx(odds_without(predictor, traced, read, prediction.label), abs=1e-4)
    assert abs(two.odds[1] - two.odds[0]) > 1e-3


def odds_without(predictor: TorchPredictor, region: TracedRegion, read: Context, label: str) -> float:
    """Return a label's log-odds in one plain pass in which the last token reads nothing in the layer of full attention."""
    prompt = predictor.prompt(read)
    whole = FullTracer(predictor)._whole(prompt, predictor.processor.frame(region.image, prompt.tail), read, label)
    assert whole.behind == 0

    def nothing(given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        changed = given[0].clone()
        changed[:, -1] = 0
        return (changed,)

    hook = predictor.model.model.language_model.layers[3].self_attn.o_proj.register_forward_pre_hook(lambda _, given: nothing(given))
    try:
        with torch.no_grad():
            hidden = predictor.model.model.language_model(inputs_embeds=whole.embeds, position_ids=whole.positions, use_cache=False)
    finally:
        hook.remove()
    rows = predictor.model.get_output_embeddings().weight[torch.from_numpy(prompt.trie.edge_tokens)]
    logits = rows @ hidden.last_hidden_state[0, -1]
    log_p = (logits.log_softmax(0) @ torch.from_numpy(prompt.trie.paths.T.astype(np.float32))).tolist()
    return float(np.subtract(*(log_p if prompt.trie.labels.index(label) == 0 else log_p[::-1])))


def test_a_part_is_the_weight_times_the_gated_value_behind_the_output_matrix(predictor: TorchPredictor, traced: TracedRegion) -> None:
    """Shares by hand: values, gates and queries of one plain pass."""
    attention, kept = predictor.model.model.language_model.layers[3].self_attn, dict[str, torch.Tensor]()
    names = {"v_proj": "values", "q_proj": "asked"}
    hooks = [
        getattr(attention, name).register_forward_hook(lambda _m, _g, output, key=key: kept.update({key: output[0]}))
        for name, key in names.items()
    ]
    try:
        weights = plain_weights(predictor, traced)  # (H, n)
    finally:
        for hook in hooks:
            hook.remove()
    d, group = attention.head_dim, attention.num_key_value_groups
    gates = kept["asked"][-1].view(-1, 2 * d)[:, d:].sigmoid()  # (H, d)
    values = kept["values"].view(len(kept["values"]), -1, d)  # (n, G, d)
    output = attention.o_proj.weight.view(-1, len(weights), d)
    given = torch.stack([weights[h, :, None] * ((values[:, h // group] * gates[h]) @ output[:, h].T) for h in range(len(weights))])
    lengths, together = given.norm(dim=-1), given.sum(0).norm(dim=-1)
    assert traced.trace.parts.mixed_by_head[-1] == pytest.approx((lengths / lengths.sum(-1, keepdim=True)).detach().numpy(), abs=1e-5)
    assert traced.trace.parts.mixed[-1] == pytest.approx((together / together.sum()).detach().numpy(), abs=1e-5)


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
