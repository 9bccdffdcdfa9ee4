"""Freezing: choose pictures and write down what the *source* model says of them, as a set that every deployed copy is held against.

The source is the torch model in float32 that graphs were exported from. Where it is gone, ``graph_weights`` rebuilds one from the graphs:
it then shows what ONNX Runtime, its provider and 8-bit arithmetic change, but not what the rounding of the weights had changed before.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from inspector.core.context import Context
from inspector.core.frame import Frame, Image
from inspector.core.prediction import Prediction
from inspector.errors import CheckpointError
from inspector.pipeline import Pipeline, Predictor
from inspector.training.edge_model import EdgeModel, Visit
from inspector.training.tower import Trunk
from inspector.vlm.checkpoint import open_checkpoint
from inspector.vlm.frozen_set import FOLDER, FrozenSet, write_set
from inspector.vlm.full_checkpoint import AnyCheckpoint, FullCheckpoint
from inspector.vlm.parity import MAX_FLIPS, MAX_SHIFT
from inspector.vlm.pixels import squared
from inspector.vlm.prompt import build_prompt

MOST = 40
"""Pictures of a set, over all products: a few seconds on two cores."""
MOST_FULL, _SLICES = 16, 2
"""The same for a full MiniCPM-V, where a picture takes seconds; pictures are made as small as so many slices."""
_CLEAR = 2 * MAX_SHIFT
"""Least lead of the source's label over the next one. A shift that is allowed must not be able to flip a label."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A picture that may be frozen."""

    name: str
    """Name of its file, without folder and ending; letters that no file takes are replaced."""
    image: Image
    """(h, w, 3) uint8 RGB, as the model gets it."""
    context: Context
    """What the model reads beside it."""


def freeze(
    checkpoint_folder: Path, trunk: Trunk, model: EdgeModel, candidates: Sequence[Candidate], source: str, folder: Path | None = None
) -> FrozenSet:
    """Write a frozen set of a checkpoint into ``folder``, by default its own, which then is required by its model.toml.

    ``source`` says in words what ``trunk`` and ``model`` are. Raises ``CheckpointError`` if no candidate is clear enough.
    """
    checkpoint = open_checkpoint(checkpoint_folder)
    small = [replace(one, image=_bounded(one.image, checkpoint.image_px)) for one in candidates]
    tokenizer = checkpoint.tokenizer()
    posteriors = [source_posterior(trunk, model, tokenizer, checkpoint.image_px, one) for one in small]
    written = _written(folder or checkpoint_folder / FOLDER, checkpoint, source, small, posteriors, MOST)
    if folder is None:
        _declare(checkpoint_folder / "model.toml")
    return written


def freeze_full(
    checkpoint: FullCheckpoint, judge: Predictor, candidates: Sequence[Candidate], source: str, folder: Path | None = None
) -> FrozenSet:
    """Write a frozen set of a full MiniCPM-V into ``folder``, by default its own; ``judge`` is the source, ``source`` says it in words.

    Raises ``CheckpointError`` if no candidate is clear enough.
    """
    most = _SLICES * int(checkpoint.config.get("image_size", 448)) ** 2
    small = [replace(one, image=_shrunk(one.image, most)) for one in candidates]
    posteriors = [dict(judge.predict([("frame", one.image)], one.context)[0][0].scores) for one in small]
    return _written(folder or checkpoint.folder / FOLDER, checkpoint, source, small, posteriors, MOST_FULL)


def _written(
    folder: Path,
    checkpoint: AnyCheckpoint,
    source: str,
    candidates: Sequence[Candidate],
    posteriors: Sequence[Mapping[str, float]],
    most: int,
) -> FrozenSet:
    """Choose pictures and write them with the source's posteriors."""
    chosen = choose(candidates, posteriors, most)
    if not chosen:
        raise CheckpointError(f"none of {len(candidates)} pictures is clear enough to be frozen: its label must lead by {_CLEAR:g} or more")
    rows = [(_file_name(place, candidates[index].name), candidates[index].image, candidates[index].context, posteriors[index])
            for place, index in enumerate(chosen)]  # fmt: skip
    return write_set(folder, checkpoint.identity, source, datetime.now(UTC), rows)


def source_posterior(trunk: Trunk, model: EdgeModel, tokenizer: Tokenizer, side: int, candidate: Candidate) -> dict[str, float]:
    """Return what the torch source says of a picture, in float32 throughout."""
    context = candidate.context
    prompt = build_prompt(tokenizer, context.description, context.labels, len(context.reports))
    with torch.inference_mode():
        features = trunk(torch.from_numpy(squared(candidate.image, side)[None].copy()))  # (1, S, S, 3) -> (1, 272, S / 16, S / 16)
        visit = Visit(prompt, torch.from_numpy(np.array(context.vectors, np.float32)), features, torch.zeros(1, dtype=torch.long))
        posterior = model.log_posterior(visit).exp().numpy()[0].astype(np.float64)  # (K,)
    return dict(zip(prompt.trie.labels, map(float, posterior / posterior.sum()), strict=True))


def choose(candidates: Sequence[Candidate], posteriors: Sequence[Mapping[str, float]], most: int) -> list[int]:
    """Return indexes of the pictures to freeze: products alike, labels alike, from the least to the most sure; in the given order."""
    products = list(dict.fromkeys(one.context.product for one in candidates))
    chosen: list[int] = []
    for product in products:
        by_label: dict[str, list[tuple[float, int]]] = {}
        for index, posterior in enumerate(posteriors):
            (label, first), (_, second) = sorted(posterior.items(), key=lambda item: -item[1])[:2]
            if candidates[index].context.product == product and first - second >= _CLEAR:
                by_label.setdefault(label, []).append((first - second, index))
        chosen += _evenly([[index for _, index in sorted(group)] for group in by_label.values()], most // len(products))
    return sorted(chosen)


class Witness:
    """A predictor that remembers what it is asked, and answers as the one behind it does."""

    def __init__(self, inner: Predictor) -> None:
        """Stand before a predictor."""
        self.name, self._inner = inner.name, inner
        self.seen: list[tuple[Image, Context]] = []
        """Picture and context of every region that came by."""

    def predict(self, images: Sequence[tuple[str, Image]], context: Context) -> tuple[list[Prediction], Mapping[str, float]]:
        """Remember the regions and pass them on."""
        self.seen += [(image, context) for _, image in images]
        return self._inner.predict(images, context)


def candidates_of(pipeline: Pipeline, frames: Sequence[Frame]) -> list[Candidate]:
    """Return the regions of frames with the reports that the station would show beside them; faulty frames are left out."""
    found = []
    for frame in frames:
        witness = Witness(pipeline.predictor)
        replace(pipeline, predictor=witness).inspect([frame])
        found += [Candidate(Path(frame.frame_id).stem, image, context) for image, context in witness.seen]
    return found


def _evenly(groups: Sequence[Sequence[int]], most: int) -> list[int]:
    """Return ``most`` members over all groups: small groups whole, the others evenly over their order, ends included."""
    chosen: list[int] = []
    for place, group in enumerate(sorted(groups, key=len)):
        share = min((most - len(chosen)) // (len(groups) - place), len(group))
        picked: NDArray[np.int64] = np.linspace(0, len(group) - 1, share).round().astype(np.int64)
        chosen += [group[index] for index in picked]
    return chosen


def _bounded(image: Image, side: int) -> Image:
    """Return a picture as it is, or as the model reads it where that is smaller: a set must stay small."""
    return squared(image, side) if image.shape[0] * image.shape[1] > side * side else image


def _shrunk(image: Image, most: int) -> Image:
    """Return a picture with at most so many pixels, its proportions kept."""
    height, width = image.shape[:2]
    if height * width <= most:
        return image
    factor = (most / (height * width)) ** 0.5
    size = max(int(width * factor), 1), max(int(height * factor), 1)
    return np.asarray(cv2.resize(np.asarray(image), size, interpolation=cv2.INTER_AREA), np.uint8)


def _file_name(place: int, name: str) -> str:
    return f"{place:02d}-{re.sub(r'[^A-Za-z0-9_.-]', '_', name)[:60]}"


def _declare(path: Path) -> None:
    """Let model.toml require the frozen set, with the limits that hold by default."""
    text = path.read_text(encoding="utf-8")
    if "[parity]" not in text:
        path.write_text(f"{text.rstrip()}\n\n[parity]\nmax_flips = {MAX_FLIPS}\nmax_shift = {MAX_SHIFT}\n", encoding="utf-8")
