"""What a verdict looked at: attention weights from the verdict token to picture, reports and words.

The deployed decoder is fused and gives no weights away, so they come from its torch copy (``graph_weights``), which is held against the
deployed answer in every trace. The verdict token is the prompt's last one: the label's first token is read from it. A weight says what was
mixed in, not what the answer would have been without it (Jain and Wallace 2019, arXiv 1902.10186).

A full MiniCPM-V is traced in ``full_trace``. L layers, H heads, P prefix positions, T positions of a frame, R report slots, I image slots.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from inspector.core.context import Context
from inspector.core.frame import Image
from inspector.core.prediction import Prediction
from inspector.pipeline import Predictor
from inspector.training.decoder import Layer
from inspector.training.edge_model import Visit
from inspector.training.graph_weights import model_of
from inspector.training.picture_share import Tile, laid_out
from inspector.vlm.checkpoint import Checkpoint
from inspector.vlm.pixels import squared
from inspector.vlm.prompt import Prompt, build_prompt

_Inputs = tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor], torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Trace:
    """What one region's verdict looked at."""

    weights: NDArray[np.float32]
    """(L, H, P + T) attention weights of the verdict token; each row sums to 1."""
    layers: tuple[int, ...]
    """(L,) numbers of the layers that have weights, from 0."""
    of_layers: int
    """Layers of the language model; more than L where some are linear attention, which keeps a state and no weights."""
    reports_at: NDArray[np.int64]
    """(R,) positions of the report slots."""
    picture_at: NDArray[np.int64]
    """(I,) positions of the image slots, tile by tile and row by row."""
    tiles: tuple[Tile, ...]
    """Where in the picture they lie."""
    words: Mapping[int, str]
    """Position and text of every prompt token."""
    difference: float
    """Largest difference between the posterior of the traced pass and the deployed one, 0..1."""

    @property
    def mean(self) -> NDArray[np.float32]:
        """(P + T,) weights, mean over layers and heads; they sum to 1."""
        mean: NDArray[np.float32] = self.weights.mean((0, 1))
        return mean

    @property
    def reports(self) -> NDArray[np.float32]:
        """(R,) share of each report."""
        return self.mean[self.reports_at]

    @property
    def picture(self) -> NDArray[np.float32]:
        """(rows, columns) share of each place in the picture."""
        return laid_out(self.mean[self.picture_at], self.tiles)

    @property
    def shares(self) -> dict[str, float]:
        """Shares of picture, reports and words; they sum to 1."""
        rows = self.by_layer()
        return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}

    @property
    def layers_in_words(self) -> str:
        """Which layers are shown, and why not all."""
        if len(self.layers) == self.of_layers:
            return f"all {self.of_layers}"
        numbers = ", ".join(map(str, self.layers))
        return (
            f"{len(self.layers)} of {self.of_layers} (numbers {numbers}): the others are linear attention, which carries a state from token"
            " to token and has no weights to show"
        )

    def by_layer(self) -> list[dict[str, float]]:
        """Return for each layer the shares of picture, reports and words, mean over heads."""
        mean = self.weights.mean(1)  # (L, P + T)
        shares = [("picture", self.picture_at), ("reports", self.reports_at), ("words", np.array(sorted(self.words), np.int64))]
        return [{name: float(row[at].sum()) for name, at in shares} for row in mean]


class Tracing(Protocol):
    """What can trace the verdicts of one model."""

    def trace(self, image: Image, context: Context, prediction: Prediction) -> Trace:
        """Return what the verdict on a region looked at; ``prediction`` is what the deployed model said of it."""
        ...


class Watched:
    """A predictor that remembers what it was asked and what it said: a trace sees the very pixels and reports of the verdict."""

    def __init__(self, predictor: Predictor) -> None:
        """Stand before a predictor."""
        self.name = predictor.name
        self._predictor = predictor
        self.seen: list[tuple[Image, Context, Prediction]] = []

    def predict(self, images: Sequence[tuple[str, Image]], context: Context) -> tuple[list[Prediction], Mapping[str, float]]:
        """Ask the predictor."""
        predictions, stages = self._predictor.predict(images, context)
        self.seen += [(image, context, prediction) for (_, image), prediction in zip(images, predictions, strict=True)]
        return predictions, stages


class Tracer:
    """Traces verdicts of one edge checkpoint."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Bring the graphs back to torch. Raises ``CheckpointError`` if they are not those of inspector-edge."""
        self._trunk, self._model = model_of(checkpoint)
        self._tokenizer, self._side = checkpoint.tokenizer(), checkpoint.image_px

    def trace(self, image: Image, context: Context, prediction: Prediction) -> Trace:
        """Return what the verdict on a region looked at; ``prediction`` is what the deployed graphs said of it."""
        prompt = build_prompt(self._tokenizer, context.description, context.labels, len(context.reports))
        heard: list[tuple[Layer, _Inputs]] = []
        hooks = [
            layer.register_forward_pre_hook(lambda module, given: heard.append((module, given))) for layer in self._model.decoder.layers
        ]
        try:
            with torch.inference_mode():
                stride_16 = self._trunk(torch.from_numpy(squared(image, self._side))[None])
                vectors = torch.from_numpy(np.array(context.vectors, np.float32))
                posterior = self._model.log_posterior(Visit(prompt, vectors, stride_16, torch.zeros(1, dtype=torch.long))).exp()[0].numpy()
                frame = heard[-len(hooks) :]  # the prefix was run before
                weights = np.stack([_of_token(layer, given, prompt) for layer, given in frame])
        finally:
            for hook in hooks:
                hook.remove()
        prefix, slots = len(prompt.prefix_ids), weights.shape[-1] - len(prompt.prefix_ids) - len(prompt.tail_ids)
        words = {at: prompt.prefix_ids[at] for at in range(prefix) if at not in prompt.slots}
        words |= {prefix + slots + at: token for at, token in enumerate(prompt.tail_ids)}
        side = math.isqrt(slots)
        return Trace(
            weights,
            tuple(range(len(weights))),
            len(weights),
            prompt.slots,
            np.arange(prefix, prefix + slots),
            (Tile(side, side),),
            {at: self._tokenizer.decode([int(token)]) for at, token in words.items()},
            float(np.abs(posterior - np.array([prediction.scores[name] for name in context.labels.names])).max()),
        )


def _of_token(layer: Layer, given: _Inputs, prompt: Prompt) -> NDArray[np.float32]:
    """Return (H, P + T) weights of the verdict token in one layer, without the label tree behind it."""
    x, rotary, bias, past = given
    tree = len(prompt.trie.tree_tokens)
    weights = layer.attention(x, rotary, bias, past)[0].view(layer.shape.heads, x.shape[1], -1)  # (H, T + tree, P + T + tree)
    found: NDArray[np.float32] = weights[:, x.shape[1] - tree - 1, : weights.shape[-1] - tree].numpy()
    return found
