"""The trace of a full MiniCPM-V on tiny models of the true classes: weights of a plain pass through transformers' own forward."""

import numpy as np
import pytest
import torch

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
    assert traced.trace.weights[-1] == pytest.approx(plain_weights(predictor, traced).numpy(), abs=1e-5)
    assert traced.trace.weights.sum(-1) == pytest.approx(1.0, abs=1e-5)
    assert traced.trace.difference < 1e-5


def test_only_layers_of_full_attention_are_shown_and_that_is_said(traced: TracedRegion) -> None:
    assert (traced.trace.layers, traced.trace.of_layers, len(traced.trace.weights)) == ((3,), 4, 1)
    assert traced.trace.layers_in_words.startswith("1 of 4 (numbers 3): the others are linear attention")


def test_every_position_is_a_word_a_report_or_a_part_of_the_picture(traced: TracedRegion) -> None:
    trace: Trace = traced.trace
    assert sorted([*trace.words, *trace.reports_at.tolist(), *trace.picture_at.tolist()]) == list(range(trace.weights.shape[-1]))
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
