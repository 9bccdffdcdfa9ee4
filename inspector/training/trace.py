"""What a verdict looked at: what the verdict token's attention mixed in from picture, reports and words, and which way that pulled.

The deployed decoder is fused and gives nothing away, so all of it comes from its torch copy (``graph_weights``), which is held against the
deployed answer in every trace. The verdict token is the prompt's last one: the label's first token is read from it. Shares and pulls are
those of ``attention_parts``. Neither is what the answer would have been without it (Jain and Wallace 2019, arXiv 1902.10186).

A full MiniCPM-V is traced in ``full_trace``. L layers, H heads, P prefix positions, T positions of a frame, R report slots, I image slots.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray

from inspector.core.context import Context
from inspector.core.frame import Image
from inspector.core.prediction import Prediction
from inspector.pipeline import Predictor
from inspector.training.attention_parts import SCAN, LayerRead, Parts, let_through, log_odds, parts_of, way
from inspector.training.decoder import Layer, causal_bias
from inspector.training.edge_model import along_paths
from inspector.training.graph_weights import model_of
from inspector.training.picture_share import Tile, laid_out
from inspector.vlm.checkpoint import Checkpoint
from inspector.vlm.pixels import squared
from inspector.vlm.prompt import Prompt, build_prompt

_Inputs = tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor], torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Trace:
    """What one region's verdict looked at."""

    parts: Parts
    """What each of L layers mixed into the verdict token from each of P + T positions, and which way it pulled."""
    odds: tuple[float, float]
    """The log-odds of the verdict's label had its token read nothing in these layers, and as it did; all pulls sum to the difference."""
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
    def share(self) -> NDArray[np.float32]:
        """(P + T,) share of each position in what was mixed in, mean over layers; they sum to 1."""
        mean: NDArray[np.float32] = self.parts.mixed.mean(0)
        return mean

    @property
    def pull(self) -> NDArray[np.float32]:
        """(P + T,) pull of each position, sum over layers and heads."""
        total: NDArray[np.float32] = self.parts.pulls.sum((0, 1))
        return total

    @property
    def weight(self) -> NDArray[np.float32]:
        """(P + T,) attention weight of each position, mean over layers and heads; they sum to 1."""
        mean: NDArray[np.float32] = self.parts.weights.mean((0, 1))
        return mean

    @property
    def reports(self) -> NDArray[np.float32]:
        """(R,) share of each report."""
        return self.share[self.reports_at]

    @property
    def report_pulls(self) -> NDArray[np.float32]:
        """(R,) pull of each report."""
        return self.pull[self.reports_at]

    @property
    def picture(self) -> NDArray[np.float32]:
        """(rows, columns) share of each place in the picture."""
        return laid_out(self.share[self.picture_at], self.tiles)

    @property
    def shares(self) -> dict[str, float]:
        """Shares of picture, reports and words; they sum to 1."""
        return self._by_kind(self.share)

    @property
    def pulls_by_kind(self) -> dict[str, float]:
        """Pulls of picture, reports and words."""
        return self._by_kind(self.pull)

    @property
    def odds_in_words(self) -> str:
        """What reading did to the log-odds of the verdict's label."""
        nothing, everything = self.odds
        return f"log-odds of the label: {nothing:+.2f} if its token read nothing here, {everything:+.2f} as it did"

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
        """Return for each layer the shares of picture, reports and words."""
        return [self._by_kind(row) for row in self.parts.mixed]

    def _by_kind(self, row: NDArray[np.float32]) -> dict[str, float]:
        """Return the sums of (P + T,) numbers over picture, reports and words."""
        at = {"picture": self.picture_at, "reports": self.reports_at, "words": np.array(sorted(self.words), np.int64)}
        return {name: float(row[places].sum()) for name, places in at.items()}


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
        self._model.requires_grad_(requires_grad=False)
        self._tokenizer, self._side = checkpoint.tokenizer(), checkpoint.image_px

    def trace(self, image: Image, context: Context, prediction: Prediction) -> Trace:
        """Return what the verdict on a region looked at; ``prediction`` is what the deployed graphs said of it."""
        prompt = build_prompt(self._tokenizer, context.description, context.labels, len(context.reports))
        with torch.no_grad():
            slots = self._model.image_slots(self._trunk(torch.from_numpy(squared(image, self._side))[None]))  # (1, I, D)
            past = self._past(prompt, torch.from_numpy(np.array(context.vectors, np.float32)), slots)
        label = context.labels.names.index(prediction.label)
        with torch.no_grad():
            scanned, _, _ = self._read(prompt, past, label, SCAN)
        factors, along = way(scanned)
        odds, reads, posterior = self._read(prompt, past, label, factors)
        prefix, behind = len(prompt.prefix_ids), len(prompt.prefix_ids) + slots.shape[1]  # where the picture begins and ends
        words = {at: prompt.prefix_ids[at] for at in range(prefix) if at not in prompt.slots}
        words |= {behind + at: token for at, token in enumerate(prompt.tail_ids)}
        side = math.isqrt(behind - prefix)
        return Trace(
            parts=parts_of(reads, along, behind + len(prompt.tail_ids)),
            odds=(float(odds[0]), float(odds[-1])),
            layers=tuple(range(len(reads))),
            of_layers=len(reads),
            reports_at=prompt.slots,
            picture_at=np.arange(prefix, behind),
            tiles=(Tile(side, side),),
            words={at: self._tokenizer.decode([int(token)]) for at, token in words.items()},
            difference=float(np.abs(posterior - np.array([prediction.scores[name] for name in context.labels.names])).max()),
        )

    def _past(self, prompt: Prompt, vectors: torch.Tensor, slots: torch.Tensor) -> torch.Tensor:
        """Return keys and values (L, 2, 1, G, P + T - 1, d) of everything before the verdict token: it does not hang on what that reads."""
        past = self._model.prefix(prompt, vectors)
        embeds = torch.cat([slots, self._model.embedding[torch.from_numpy(prompt.tail_ids[:-1])][None]], 1)
        prefix, length = past.shape[-2], embeds.shape[1]
        _, present = self._model.decoder(embeds, torch.arange(prefix, prefix + length), causal_bias(length, prefix), past)
        return torch.cat([past, present], -2)

    def _read(
        self, prompt: Prompt, past: torch.Tensor, label: int, factors: torch.Tensor
    ) -> tuple[torch.Tensor, list[LayerRead], NDArray[np.float32]]:
        """Return (S,) log-odds of a label on the way, what each layer read and the (K,) posterior at its end.

        Without gradients nothing is said of the layers.
        """
        with_gradients = torch.is_grad_enabled()
        verdict = self._model.embedding[torch.from_numpy(prompt.tail_ids[-1:])].expand(len(factors), -1, -1)  # (S, 1, D)
        with self._listening(factors) as heard:
            log_p = along_paths(prompt.trie, self._model.read(prompt.trie, past, verdict))  # (S, K)
        if log_p.shape[1] > 1:
            odds = torch.stack([log_odds(row, label) for row in log_p])  # (S,)
        else:  # a single label is certain, whatever is read
            odds = torch.zeros(len(factors)) + sum(one.sum() * 0 for one in heard.handed)
        reads = []
        if with_gradients:
            gradients = torch.autograd.grad(odds.sum(), heard.handed)
            with torch.no_grad():
                reads = [_read_of(*one, gradient) for one, gradient in zip(heard.layers, gradients, strict=True)]
        return odds.detach(), reads, log_p[-1].detach().exp().numpy()

    @contextmanager
    def _listening(self, factors: torch.Tensor) -> Iterator["_Heard"]:
        """Let through ``factors`` (S,) of what is read, sequence by sequence, and hear it."""
        heard, hooks = _Heard([], []), []
        for module in self._model.decoder.layers:
            layer = cast("Layer", module)
            hooks.append(layer.register_forward_pre_hook(lambda module, given: heard.layers.append((cast("Layer", module), given))))
            hooks.append(layer.o.register_forward_pre_hook(lambda _, given: (let_through(given[0], factors, heard.handed),)))
        try:
            yield heard
        finally:
            for hook in hooks:
                hook.remove()


@dataclass(frozen=True, slots=True)
class _Heard:
    """What was heard, layer by layer."""

    layers: list[tuple[Layer, _Inputs]]
    """A layer and what went into it."""
    handed: list[torch.Tensor]
    """(S, R, H * d) what was let through to the output matrix."""


def _read_of(layer: Layer, given: _Inputs, gradient: torch.Tensor) -> LayerRead:
    """Return what a layer read; ``gradient`` (S, R, H * d)."""
    shape, (steps, rows, _) = layer.shape, gradient.shape
    weights, values, _ = layer.attention(*given)
    return LayerRead(
        weights.view(steps, shape.heads, rows, -1),
        values.repeat_interleave(shape.heads // shape.kv_heads, 1),
        layer.o.weight.view(shape.width, shape.heads, shape.head_width),
        gradient.view(steps, rows, shape.heads, shape.head_width),
    )
