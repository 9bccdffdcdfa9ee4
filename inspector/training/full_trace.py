"""What a full MiniCPM-V's verdict looked at: what its full-attention layers mixed in, in one pass of the very model that judges.

The text model of 4.6 and 4.7 mixes full with linear attention (three of four layers). A linear layer carries a state from token to token
and has no weights, so it cannot be shown, and what it carried along from picture or reports appears in no share and no pull. The gates
behind full attention are in both. Everything comes from transformers' eager attention: the prompt is run once, then its last token and
the label's tokens from copies of the cache, one for each step of the way (``attention_parts``).

L full-attention layers, S steps, H heads, d head width, D width, P prefix positions, T tokens of a frame, W label tokens, N = P + T + W.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from inspector.core.context import Context
from inspector.core.frame import Image
from inspector.core.prediction import Prediction
from inspector.errors import PredictionError
from inspector.training.attention_parts import SCAN, LayerRead, let_through, log_odds_of_way, parts_of, way
from inspector.training.picture_share import Tile
from inspector.training.trace import Trace
from inspector.vlm.full_prompt import FullPrompt
from inspector.vlm.label_paths import choices_on_way
from inspector.vlm.picture_processor import FrameInput
from inspector.vlm.prompt import SLOT
from inspector.vlm.torch_predictor import TorchPredictor, copies


@dataclass(slots=True)
class _Heard:
    """What one layer of full attention let hear of the last 1 + W tokens."""

    attention: Any
    """The module."""
    weights: torch.Tensor = field(default_factory=lambda: torch.empty(0))
    """(S, H, 1 + W, N)."""
    asked: torch.Tensor = field(default_factory=lambda: torch.empty(0))
    """(S, 1 + W, H * 2 d): queries and gates."""
    handed: list[torch.Tensor] = field(default_factory=list)
    """One (S, 1 + W, H * d): what was let through to the output matrix."""


@dataclass(frozen=True, slots=True)
class _Whole:
    """Prompt, picture and a label's tokens as one sequence."""

    embeds: torch.Tensor
    """(1, N, D)."""
    positions: torch.Tensor | None
    """(3, 1, N), where they are not simply counted."""
    choices: list[tuple[int, torch.Tensor, int]]
    """The choices on the label's way: label tokens before each, (E,) tokens to choose from, and which is right."""
    behind: int
    """W."""


class FullTracer:
    """Traces verdicts of one full MiniCPM-V."""

    def __init__(self, predictor: TorchPredictor) -> None:
        """Listen to the model that judges; nothing is loaded twice."""
        self._predictor = predictor
        self._language_model = predictor.model.model.language_model

    def trace(self, image: Image, context: Context, prediction: Prediction) -> Trace:
        """Return what the verdict on a region looked at. Raises ``PredictionError`` if the model fails."""
        prompt = self._predictor.prompt(context)
        try:
            frame = self._predictor.processor.frame(image, prompt.tail)
            odds, along, reads = self._read(self._whole(prompt, frame, context, prediction.label))
        except (ValueError, RuntimeError) as error:
            raise PredictionError(f"model {self._predictor.name} could not be traced: {error}") from error
        if not reads:
            raise PredictionError(f"model {self._predictor.name} has no layer of full attention: there is nothing to show")
        ids = np.concatenate([prompt.prefix_ids, frame.ids])  # (P + T,)
        at = np.arange(len(ids))
        is_picture, is_report = ids == self._predictor.model.config.image_token_id, ids == SLOT
        return Trace(
            parts=parts_of(list(reads.values()), along, len(ids)),
            odds=(float(odds[0]), float(odds[-1])),
            layers=tuple(reads),
            of_layers=len(self._language_model.layers),
            reports_at=at[is_report],
            picture_at=at[is_picture],
            tiles=self._tiles(image, frame),
            words={int(place): self._spoken(int(ids[place])) for place in at[~is_picture & ~is_report]},
            difference=abs((float(odds[-1].sigmoid()) if len(prompt.trie.labels) > 1 else 1.0) - prediction.scores[prediction.label]),
        )

    @torch.no_grad()
    def _whole(self, prompt: FullPrompt, frame: FrameInput, context: Context, label: str) -> _Whole:
        """Return everything up to the last choice on a label's way."""
        predictor, device = self._predictor, self._predictor.model.device
        choices = [
            (before, torch.from_numpy(prompt.trie.edge_tokens[edges]).to(device), right)
            for before, edges, right in choices_on_way(prompt.trie, label)
        ]
        behind = max((before for before, _, _ in choices), default=0)
        ids, prefix = predictor.embed_prefix(prompt, torch.from_numpy(np.array(context.vectors, np.float32)))
        shown = predictor.embed_frame(frame, predictor.see([frame]))[0]
        tokens = torch.tensor(prompt.trie.sequences[label][:behind], dtype=torch.long, device=device)
        embeds = torch.cat([prefix, shown, predictor.model.get_input_embeddings()(tokens)])[None]
        place, following = predictor.positions(ids, frame)
        if place is None or following is None:
            return _Whole(embeds, None, choices, behind)
        begin = torch.arange(len(ids), device=device).expand(3, 1, -1)
        end = torch.arange(following, following + behind, device=device).expand(3, 1, -1)
        return _Whole(embeds, torch.cat([begin, place, end], 2), choices, behind)

    def _read(self, whole: _Whole) -> tuple[torch.Tensor, torch.Tensor, dict[int, LayerRead]]:
        """Return (S,) log-odds of the label on the way, each step's part in the integral, and what each layer of full attention read."""
        rows = 1 + whole.behind
        with self._eager():
            cache = DynamicCache(config=self._predictor.model.config.text_config)
            with torch.no_grad():
                self._run(whole.embeds[:, :-rows], None if whole.positions is None else whole.positions[..., :-rows], cache)
                scanned, _, _ = self._step(whole, cache, SCAN)
            factors, along = way(scanned.cpu())
            with torch.enable_grad():
                odds, heard, grown = self._step(whole, cache, factors)
            given = [one.handed[0] for one in heard.values()]
            gradients = list(torch.autograd.grad(odds.sum(), given)) if whole.choices else [torch.zeros_like(one) for one in given]
        reads = {
            number: _read_of(one, cast("DynamicLayer", grown.layers[number]).values, gradient)
            for (number, one), gradient in zip(heard.items(), gradients, strict=True)
        }
        return odds.detach().cpu(), along, reads

    def _step(self, whole: _Whole, cache: DynamicCache, factors: torch.Tensor) -> tuple[torch.Tensor, dict[int, _Heard], DynamicCache]:
        """Run the prompt's last token and the label's, once for each of ``factors`` (S,); return (S,) log-odds and what was heard."""
        rows, copied = 1 + whole.behind, copies(cache, torch.LongTensor([0] * len(factors)))
        positions = None if whole.positions is None else whole.positions[..., -rows:].expand(3, len(factors), -1)
        with self._listening(factors) as heard:
            hidden = self._run(whole.embeds[:, -rows:].expand(len(factors), -1, -1), positions, copied)  # (S, 1 + W, D)
        return self._odds(hidden, whole), heard, copied

    def _odds(self, hidden: torch.Tensor, whole: _Whole) -> torch.Tensor:
        """Return (S,) log-odds of the label; a single label is certain, whatever is read."""
        if not whole.choices:
            return torch.zeros(len(hidden))
        head = self._predictor.model.get_output_embeddings().weight
        steps = [[(row[before].float() @ head[tokens].float().T, right) for before, tokens, right in whole.choices] for row in hidden]
        return torch.stack([log_odds_of_way(choices) for choices in steps])

    def _run(self, embeds: torch.Tensor, positions: torch.Tensor | None, cache: DynamicCache) -> torch.Tensor:
        """Run (B, T, D) behind a cache, which grows; return (B, T, D) hidden states."""
        hidden: torch.Tensor = self._language_model(
            inputs_embeds=embeds, position_ids=positions, cache=cache, use_cache=True
        ).last_hidden_state
        return hidden

    @contextmanager
    def _eager(self) -> Iterator[None]:
        """Let the layers of full attention tell their weights, and the model forget it afterwards."""
        before = self._language_model.config._attn_implementation  # noqa: SLF001 - transformers has a setter and no getter
        self._language_model.set_attn_implementation("eager")
        try:
            yield
        finally:
            self._language_model.set_attn_implementation(before)

    @contextmanager
    def _listening(self, factors: torch.Tensor) -> Iterator[dict[int, _Heard]]:
        """Let through ``factors`` (S,) of what all tokens read, sequence by sequence, and hear it, by number of the layer."""
        layers = enumerate(self._language_model.layers)
        heard = {number: _Heard(layer.self_attn) for number, layer in layers if hasattr(layer, "self_attn")}
        hooks = [hook for one in heard.values() for hook in _hooks(one, factors)]
        try:
            yield heard
        finally:
            for hook in hooks:
                hook.remove()

    def _tiles(self, image: Image, frame: FrameInput) -> tuple[Tile, ...]:
        """Return where the slots of the whole picture and of its slices lie."""
        per_side = self._predictor.processor.patches_per_slot
        grids = [(int(rows) // per_side, int(columns) // per_side) for rows, columns in frame.grids.tolist()]
        down, across = self._predictor.processor.slicing(image)
        places = [(row / down, column / across, 1 / down, 1 / across) for row in range(down) for column in range(across)]
        return (Tile(*grids[0]), *(Tile(*grid, *place) for grid, place in zip(grids[1:], places, strict=True)))

    def _spoken(self, token: int) -> str:
        return str(self._predictor.processor.tokenizer.decode([token]))


def _hooks(heard: _Heard, factors: torch.Tensor) -> Iterator[Any]:
    """Register what listens to one layer."""
    attention = heard.attention
    yield attention.register_forward_hook(lambda _module, _given, output: setattr(heard, "weights", output[1].detach()))
    yield attention.q_proj.register_forward_hook(lambda _module, _given, output: setattr(heard, "asked", output.detach()))
    yield attention.o_proj.register_forward_pre_hook(lambda _, given: (let_through(given[0], factors, heard.handed),))


@torch.no_grad()
def _read_of(heard: _Heard, values: torch.Tensor | None, gradient: torch.Tensor) -> LayerRead:
    """Return what a layer read, on the CPU in float32; values (S, G, N, d) of all positions, ``gradient`` (S, 1 + W, H * d)."""
    attention, d = heard.attention, heard.attention.head_dim
    steps, rows, _ = gradient.shape
    gates = heard.asked.view(steps, rows, -1, 2 * d)[..., d:].sigmoid()  # (S, 1 + W, H, d)
    unit = torch.eye(gradient.shape[-1], dtype=gradient.dtype, device=gradient.device)
    output = attention.o_proj(unit).T.reshape(-1, gates.shape[2], d)  # asked and not looked up: quantised weights have another shape
    assert values is not None  # noqa: S101 - the layer has just been run
    repeated = values.repeat_interleave(attention.num_key_value_groups, 1)
    parts = (heard.weights, repeated, output, gradient.view_as(gates), gates)
    return LayerRead(*(part.detach().float().cpu() for part in parts))
