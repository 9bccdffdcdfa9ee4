"""What a full MiniCPM-V's verdict looked at: what its full-attention layers mixed in, in one pass of the very model that judges.

The text model of 4.6 and 4.7 mixes full with linear attention (three of four layers). A linear layer carries a state from token to token
and has no weights, so it cannot be shown, and what it carried along from picture or reports appears in no share and no pull; that a full
layer's part goes on through linear layers does count in its pull. The gates behind full attention are in both. Everything comes from
transformers' eager attention in one pass over prompt, picture and the label's tokens, whose probability is compared with the deployed one.

L full-attention layers, H heads, d head width, D width, P prefix positions, T tokens of a frame, W label tokens, N = P + T + W.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from inspector.core.context import Context
from inspector.core.frame import Image
from inspector.core.prediction import Prediction
from inspector.errors import PredictionError
from inspector.training.attention_parts import LayerRead, log_odds_of_way, parts_of
from inspector.training.picture_share import Tile
from inspector.training.trace import Trace
from inspector.vlm.full_prompt import FullPrompt
from inspector.vlm.label_paths import choices_on_way
from inspector.vlm.picture_processor import FrameInput
from inspector.vlm.prompt import SLOT
from inspector.vlm.torch_predictor import TorchPredictor


@dataclass(slots=True)
class _Heard:
    """What one layer of full attention let hear."""

    attention: Any
    """The module."""
    parts: dict[str, torch.Tensor] = field(default_factory=dict)
    """``weights`` (1, H, N, N), ``values`` (1, N, G * d), ``asked`` (1, N, H * 2 d: queries and gates), ``handed`` (1, N, H * d)."""


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
            with self._listening() as heard:
                odds, behind = self._label_odds(prompt, frame, context, prediction.label)
                found = {number: one for number, one in sorted(heard.items()) if one.parts}
                if not found:
                    raise PredictionError(f"model {self._predictor.name} has no layer of full attention: there is nothing to show")
                reads = _reads(list(found.values()), odds, behind)
        except (ValueError, RuntimeError) as error:
            raise PredictionError(f"model {self._predictor.name} could not be traced: {error}") from error
        ids = np.concatenate([prompt.prefix_ids, frame.ids])  # (P + T,)
        at = np.arange(len(ids))
        is_picture, is_report = ids == self._predictor.model.config.image_token_id, ids == SLOT
        return Trace(
            parts=parts_of(reads, len(ids)),
            layers=tuple(found),
            of_layers=len(self._language_model.layers),
            reports_at=at[is_report],
            picture_at=at[is_picture],
            tiles=self._tiles(image, frame),
            words={int(place): self._spoken(int(ids[place])) for place in at[~is_picture & ~is_report]},
            difference=abs(float(odds.detach().sigmoid()) - prediction.scores[prediction.label]),
        )

    def _label_odds(self, prompt: FullPrompt, frame: FrameInput, context: Context, label: str) -> tuple[torch.Tensor, int]:
        """Return the log-odds of a label, differentiable, and how many of its tokens stand behind the prompt."""
        predictor, choices = self._predictor, list(choices_on_way(prompt.trie, label))
        depth = max((place for place, _, _ in choices), default=0)
        device = predictor.model.device
        with torch.no_grad():
            ids, prefix = predictor.embed_prefix(prompt, torch.from_numpy(np.array(context.vectors, np.float32)))
            shown = predictor.embed_frame(frame, predictor.see([frame]))[0]
            way = torch.tensor(prompt.trie.sequences[label][:depth], dtype=torch.long, device=device)
            embeds = torch.cat([prefix, shown, predictor.model.get_input_embeddings()(way)])[None]  # (1, N, D)
        place, following = predictor.positions(ids, frame)
        positions = None
        if place is not None and following is not None:
            before = torch.arange(len(ids), device=device).expand(3, 1, -1)
            positions = torch.cat([before, place, torch.arange(following, following + depth, device=device).expand(3, 1, -1)], 2)
        with torch.enable_grad():
            hidden = self._language_model(inputs_embeds=embeds, position_ids=positions, use_cache=False).last_hidden_state[0, -1 - depth :]
            head = predictor.model.get_output_embeddings().weight
            if not choices:  # a single label is certain, whatever is read
                return hidden.float().sum() * 0 + torch.inf, depth
            rows = [
                (hidden[at].float() @ head[torch.from_numpy(prompt.trie.edge_tokens[edges])].float().T, right)
                for at, edges, right in choices
            ]
            return log_odds_of_way(rows), depth

    @contextmanager
    def _listening(self) -> Iterator[dict[int, _Heard]]:
        """Let the layers of full attention tell what they do, and the model forget it afterwards."""
        model = self._language_model
        heard = {number: _Heard(layer.self_attn) for number, layer in enumerate(model.layers) if hasattr(layer, "self_attn")}
        hooks = [hook for one in heard.values() for hook in _hooks(one)]
        before = model.config._attn_implementation  # noqa: SLF001 - transformers has a setter and no getter
        model.set_attn_implementation("eager")
        try:
            yield heard
        finally:
            model.set_attn_implementation(before)
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


def _hooks(heard: _Heard) -> Iterator[Any]:
    """Register what listens to one layer."""

    def handed(_: object, given: tuple[torch.Tensor, ...]) -> None:
        if torch.is_grad_enabled() and not given[0].requires_grad:
            given[0].requires_grad_()
        heard.parts["handed"] = given[0]

    attention = heard.attention
    yield attention.register_forward_hook(lambda _module, _given, output: heard.parts.update(weights=output[1]))
    yield attention.v_proj.register_forward_hook(lambda _module, _given, output: heard.parts.update(values=output))
    yield attention.q_proj.register_forward_hook(lambda _module, _given, output: heard.parts.update(asked=output))
    yield attention.o_proj.register_forward_pre_hook(handed)


def _reads(heard: list[_Heard], odds: torch.Tensor, behind: int) -> list[LayerRead]:
    """Return what each layer read at the prompt's last token and at the ``behind`` ones of the label."""
    gradients = [torch.zeros_like(one.parts["handed"]) for one in heard]
    if bool(torch.isfinite(odds)):
        gradients = list(torch.autograd.grad(odds, [one.parts["handed"] for one in heard]))
    return [_read(one, gradient[0, -1 - behind :], behind) for one, gradient in zip(heard, gradients, strict=True)]


@torch.no_grad()
def _read(heard: _Heard, gradient: torch.Tensor, behind: int) -> LayerRead:
    """Return what a layer read, on the CPU in float32; ``gradient`` (1 + W, H * d)."""
    attention, d = heard.attention, heard.attention.head_dim
    weights = heard.parts["weights"][0, :, -1 - behind :]  # (H, 1 + W, N)
    heads, length = weights.shape[0], weights.shape[-1]
    values = heard.parts["values"][0].view(length, -1, d).transpose(0, 1).repeat_interleave(attention.num_key_value_groups, 0)
    gates = heard.parts["asked"][0, -1 - behind :].view(1 + behind, heads, 2 * d)[..., d:].sigmoid()  # (1 + W, H, d)
    unit = torch.eye(heads * d, dtype=gradient.dtype, device=gradient.device)
    output = attention.o_proj(unit).T.reshape(-1, heads, d)  # asked and not looked up: quantised weights have another shape
    parts = (weights, values, output, gradient.view(1 + behind, heads, d), gates)
    return LayerRead(*(part.float().cpu() for part in parts))
