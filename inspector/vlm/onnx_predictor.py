"""OnnxPredictor: vision, projector and decoder graphs on ONNX Runtime behind the ``Predictor`` protocol. Neither torch nor transformers.

One verdict costs one vision pass and one decoder pass over the image slots, the tail text and the label tree. The static prefix
(product, labels, reports) is run once and its key-value cache kept until one of them changes. B pictures, I image slots, P prefix
positions, T tokens of a frame, D width.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inspector.core.context import Context
from inspector.core.frame import Image
from inspector.core.label import LabelSet
from inspector.core.prediction import Prediction
from inspector.errors import CheckpointError, PredictionError
from inspector.vlm.checkpoint import Checkpoint
from inspector.vlm.graph_output import PATCHES, with_output
from inspector.vlm.onnx_session import open_graph
from inspector.vlm.pixels import squared
from inspector.vlm.prompt import Prompt, build_prompt, label_trie
from inspector.vlm.trie import frame_layout

_PREFIXES_KEPT = 64
"""Static prefixes whose cache is kept; one takes about 9 kB a position at 6 layers."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """A static prefix after its pass through the decoder."""

    prompt: Prompt
    """Its tokens and the trie behind it."""
    past: NDArray[np.float32]
    """(L, 2, 1, G, P, d) keys and values."""
    positions: NDArray[np.int64]
    """(T,) positions of a frame's tokens."""
    bias: NDArray[np.float32]
    """(T, P + T) additive mask of a frame's tokens."""
    tail: NDArray[np.float32]
    """(T - I, D) embeddings of tail text and label tree."""
    nodes: NDArray[np.int64]
    """(N,) positions within T that decide at each branching node."""
    head: NDArray[np.float32]
    """(E, D) rows of the vocabulary head for the trie's edges."""


class OnnxPredictor:
    """Judges pictures with an edge checkpoint."""

    def __init__(self, checkpoint: Checkpoint, *, providers: Sequence[str] = ("CPUExecutionProvider",), threads: int = 2) -> None:
        """Load the graphs. Raises ``CheckpointError`` if a graph or an execution provider cannot be used."""
        self.checkpoint = checkpoint
        self.name = f"{checkpoint.name}@{checkpoint.revision}"
        self.standing = ""
        self._tokenizer = checkpoint.tokenizer()
        self._embedding = checkpoint.embedding()
        self._vision, self._projector, self._decoder = (
            open_session(checkpoint, part, providers, threads, extra=PATCHES if part == "vision" else None)
            for part in ("vision", "projector", "decoder")
        )
        self._prefixes: OrderedDict[object, Prefix] = OrderedDict()

    def check_labels(self, products: Mapping[str, LabelSet]) -> None:
        """Raise ``CheckpointError`` if a product's labels cannot be written or told apart in this model's vocabulary."""
        for name, labels in products.items():
            try:
                label_trie(self._tokenizer, labels)
            except CheckpointError as error:
                raise CheckpointError(f"products.{name}: {error}") from error

    def predict(self, images: Sequence[tuple[str, Image]], context: Context) -> tuple[list[Prediction], Mapping[str, float]]:
        """Judge (region name, (h, w, 3) uint8 RGB) pairs in one batch; return predictions and milliseconds by stage.

        Raises ``PredictionError`` if the graphs fail or return numbers that are not finite.
        """
        started = time.perf_counter()
        try:
            prefix = self._prefix(context)
            prefilled = time.perf_counter()
            pixels = self._pixels([image for _, image in images])
            squared_at = time.perf_counter()
            slots, features = self._look(pixels) if context.normality is not None else (self._slots(pixels), None)
            seen = time.perf_counter()
            posterior = prefix.prompt.trie.posterior(self.edge_logits(prefix, slots))
            decoded = time.perf_counter()
            found = [None] * len(images) if context.normality is None or features is None else [*map(context.normality.judge, features)]
        except (ValueError, RuntimeError) as error:  # onnxruntime's own errors derive from RuntimeError or ValueError
            raise PredictionError(f"model {self.name} could not judge {len(images)} region(s): {error}") from error
        measured = time.perf_counter()
        ids = tuple(report.report_id for report in context.reports)
        labels = prefix.prompt.trie.labels
        predictions = [
            Prediction(region, dict(zip(labels, map(float, row), strict=True)), ids, self.name, normality)
            for (region, _), row, normality in zip(images, posterior, found, strict=True)
        ]
        stages = {"prefill": prefilled - started, "pixels": squared_at - prefilled, "vision": seen - squared_at, "decode": decoded - seen}
        if context.normality is not None:
            stages["normality"] = measured - decoded
        return predictions, {stage: 1e3 * seconds for stage, seconds in stages.items()}

    def image_slots(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Return the (B, I, D) image slots of pictures of any size."""
        return self._slots(self._pixels(images))

    def patch_features(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Return the (B, h, w, C) last map of the vision tower, one row a patch. Raises ``PredictionError`` if the graph fails."""
        try:
            return self._look(self._pixels(images))[1]
        except (ValueError, RuntimeError) as error:
            raise PredictionError(f"model {self.name} could not look at {len(images)} region(s): {error}") from error

    def label_map(self, image: Image, context: Context, label: str) -> NDArray[np.float32]:
        """Return the (g, g) nats by which each image slot and its neighbours spoke for a label: how far its log-odds fall without them.

        Occlusion (Zeiler and Fergus 2014, arXiv 1311.2901) of the I = g x g image slots: each slot in turn is replaced, with the slots
        around it, by the mean of all others, and all I variants are judged in one batch. A slot alone is not enough, because its neighbours
        have seen the same place. Negative: the place spoke against the label. Raises ``PredictionError``.
        """
        try:
            prefix, slots = self._prefix(context), self.image_slots([image])[0]  # (I, D)
            windows = _windows(math.isqrt(len(slots)))  # (I, I)
            outside = ~windows @ slots / np.maximum((~windows).sum(axis=1, keepdims=True), 1)  # (I, D)
            without = np.where(windows[:, :, None], outside[:, None], slots[None])  # (I, I, D)
            logits = self.edge_logits(prefix, np.concatenate([slots[None], without]).astype(np.float32))  # (1 + I, E)
            shares = prefix.prompt.trie.posterior(logits)[:, prefix.prompt.trie.labels.index(label)]
        except (ValueError, RuntimeError) as error:
            raise PredictionError(f"model {self.name} could not tell what spoke for {label}: {error}") from error
        held = np.clip(shares, 1e-9, 1.0 - 1e-9)
        odds = np.log(held) - np.log1p(-held)
        nats: NDArray[np.float32] = (odds[0] - odds[1:]).reshape(math.isqrt(len(slots)), -1).astype(np.float32)
        return nats

    def _pixels(self, images: Sequence[Image]) -> NDArray[np.uint8]:
        """Return pictures of any size as (B, S, S, 3)."""
        return np.stack([squared(image, self.checkpoint.image_px) for image in images])

    def _slots(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the (B, I, D) image slots of (B, S, S, 3) pixels."""
        slots: NDArray[np.float32] = self._vision.run(["slots"], {"pixels": pixels})[0]
        return slots

    def _look(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the (B, I, D) image slots of (B, S, S, 3) pixels and the (B, h, w, C) last map of the tower."""
        slots, features = self._vision.run(["slots", PATCHES], {"pixels": pixels})  # (B, I, D), (B, C, h, w)
        return slots, features.transpose(0, 2, 3, 1)

    def edge_logits(self, prefix: Prefix, slots: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the (B, E) logits of the trie's edges for (B, I, D) image slots."""
        if not len(prefix.nodes):  # a single label: nothing to decide
            return np.zeros((len(slots), 0), np.float32)
        hidden = self._decoder.run(["hidden"], _frame_feeds(prefix, slots))[0]  # (B, N, D)
        edges = hidden[:, prefix.prompt.trie.edge_nodes]  # (B, E, D)
        logits: NDArray[np.float32] = np.einsum("bed,ed->be", edges, prefix.head)
        return logits

    def graph_inputs(self, image: Image, context: Context) -> dict[str, dict[str, NDArray[Any]]]:
        """Return what the graphs read for one picture (h, w, 3) with a prefix in the cache: {part: {input: array}}."""
        pixels = self._pixels([image])
        return {"vision": {"pixels": pixels}, "decoder": _frame_feeds(self._prefix(context), self._slots(pixels))}

    def _prefix(self, context: Context) -> Prefix:
        """Return the static prefix of a context, from the cache if it was seen lately."""
        key = (context.description, context.labels.names, tuple(r.report_id for r in context.reports), context.vectors.tobytes())
        if key in self._prefixes:
            self._prefixes.move_to_end(key)
            return self._prefixes[key]
        self._prefixes[key] = prefix = self._run_prefix(context)
        while len(self._prefixes) > _PREFIXES_KEPT:
            self._prefixes.popitem(last=False)
        return prefix

    def _run_prefix(self, context: Context) -> Prefix:
        """Embed prompt and reports and run them through the decoder."""
        prompt = build_prompt(self._tokenizer, context.description, context.labels, len(context.reports))
        embeds = self._rows(np.maximum(prompt.prefix_ids, 0))
        if len(context.reports):
            embeds[prompt.slots] = self._projector.run(["slots"], {"vectors": np.asarray(context.vectors, np.float32)})[0]
        layers, heads, width = self.checkpoint.past_shape
        length = len(embeds)
        causal = np.where(np.tril(np.ones((length, length), bool)), np.float32(0), np.float32(-1e9))
        feeds = {
            "embeds": embeds[None],
            "positions": np.arange(length, dtype=np.int64),
            "bias": causal,
            "past": np.zeros((layers, 2, 1, heads, 0, width), np.float32),
        }
        past = self._decoder.run(["present"], feeds | {"nodes": np.zeros(1, np.int64)})[0]
        trunk = self.checkpoint.image_slots + len(prompt.tail_ids)
        positions, bias = frame_layout(prompt.trie, trunk, length)
        tail = self._rows(np.concatenate([prompt.tail_ids, prompt.trie.tree_tokens]))
        return Prefix(prompt, past, positions, bias, tail, prompt.trie.nodes + trunk, self._rows(prompt.trie.edge_tokens))

    def _rows(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return float32 rows of the embedding table."""
        return self._embedding[ids].astype(np.float32)


def _frame_feeds(prefix: Prefix, slots: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Return what the decoder reads for (B, I, D) image slots."""
    tail = np.broadcast_to(prefix.tail, (len(slots), *prefix.tail.shape))
    return {
        "embeds": np.concatenate([slots, tail], axis=1),
        "positions": prefix.positions,
        "bias": prefix.bias,
        "past": prefix.past,
        "nodes": prefix.nodes,
    }


def _windows(side: int) -> NDArray[np.bool_]:
    """Return (g * g, g * g): True where a slot of a g x g grid lies in the 3 x 3 window around another."""
    rows, columns = np.divmod(np.arange(side * side), side)
    near: NDArray[np.bool_] = (abs(rows[:, None] - rows) <= 1) & (abs(columns[:, None] - columns) <= 1)
    return near


def open_session(
    checkpoint: Checkpoint, part: str, providers: Sequence[str], threads: int, *, extra: str | None = None
) -> ort.InferenceSession:
    """Open one graph, with its float tensor ``extra`` as one more output.

    Raises ``CheckpointError`` if it cannot be loaded or if ONNX Runtime fell back to another provider.
    """
    path = checkpoint.files[part]
    return open_graph(path, providers, threads, graph=None if extra is None else with_output(path.read_bytes(), extra))
