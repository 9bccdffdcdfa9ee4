"""What a full MiniCPM-V's verdict looked at: attention weights of its full-attention layers, in one pass of the very model that judges.

The text model of 4.6 and 4.7 mixes full with linear attention (three of four layers). A linear layer carries a state from token to token
and has no weights, so it cannot be shown, and what it carried along from picture or reports does not appear in any share. The weights come
from transformers' eager attention, which the model uses for this one pass; its posterior is compared with the deployed one.

L full-attention layers, H heads, P prefix positions, T tokens of a frame, I image slots.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from inspector.core.context import Context
from inspector.core.frame import Image
from inspector.core.prediction import Prediction
from inspector.errors import PredictionError
from inspector.training.picture_share import Tile
from inspector.training.trace import Trace
from inspector.vlm.full_prompt import FullPrompt
from inspector.vlm.picture_processor import FrameInput
from inspector.vlm.prompt import SLOT
from inspector.vlm.torch_predictor import TorchPredictor

Heard = list[tuple[int, NDArray[np.float32]]]
"""Layer number and (H, tokens, positions) weights of each call."""


class FullTracer:
    """Traces verdicts of one full MiniCPM-V."""

    def __init__(self, predictor: TorchPredictor) -> None:
        """Listen to the model that judges; nothing is loaded twice."""
        self._predictor = predictor
        self._language_model = predictor.model.model.language_model

    def trace(self, image: Image, context: Context, prediction: Prediction) -> Trace:
        """Return what the verdict on a region looked at. Raises ``PredictionError`` if the model fails."""
        try:
            with self._listening() as heard:
                prompt, frame, posterior = self._predictor.read_along(image, context)
        except (ValueError, RuntimeError) as error:
            raise PredictionError(f"model {self._predictor.name} could not be traced: {error}") from error
        ids = np.concatenate([prompt.prefix_ids, frame.ids])  # (P + T,)
        rows = {layer: weights[:, -1] for layer, weights in heard if weights.shape[1:] == (len(frame.ids), len(ids))}
        if not rows:
            raise PredictionError(f"model {self._predictor.name} has no layer of full attention: there are no weights to show")
        at = np.arange(len(ids))
        is_picture, is_report = ids == self._predictor.model.config.image_token_id, ids == SLOT
        return Trace(
            weights=np.stack([rows[layer] for layer in sorted(rows)]),
            layers=tuple(sorted(rows)),
            of_layers=len(self._language_model.layers),
            reports_at=at[is_report],
            picture_at=at[is_picture],
            tiles=self._tiles(image, frame),
            words={int(place): self._spoken(int(ids[place])) for place in at[~is_picture & ~is_report]},
            difference=_difference(prompt, posterior, prediction),
        )

    @contextmanager
    def _listening(self) -> Iterator[Heard]:
        """Let the layers of full attention tell their weights, and the model forget it afterwards."""
        heard, model = Heard(), self._language_model
        before = model.config._attn_implementation  # noqa: SLF001 - transformers has a setter and no getter
        hooks = [
            layer.self_attn.register_forward_hook(
                lambda _module, _given, output, number=number: heard.append((number, output[1][0].float().cpu().numpy()))
            )
            for number, layer in enumerate(model.layers)
            if hasattr(layer, "self_attn")
        ]
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


def _difference(prompt: FullPrompt, posterior: NDArray[np.float64], prediction: Prediction) -> float:
    return max(abs(float(p) - prediction.scores[name]) for name, p in zip(prompt.trie.labels, posterior, strict=True))
