"""The pictures of a recipe's folders, how they are varied, and their cached features. ``test/`` is never read here."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from inspector.core.frame import Image
from inspector.core.label import LabelSet
from inspector.training.label_names import check_counts, with_station_labels
from inspector.training.listing import Listed, list_pictures
from inspector.training.picture import Picture, read_rgb
from inspector.training.remarks import Remarks
from inspector.training.tower import Trunk
from inspector.vlm.pixels import squared

__all__ = ["Augmentation", "Picture", "read_pictures", "read_rgb", "trunk_features", "varied"]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How a product's pictures may be varied without changing their label."""

    flip_x: bool = False
    """Left and right may be exchanged."""
    flip_y: bool = False
    """Top and bottom may be exchanged."""
    crop: float = 0.1
    """Largest share of width and height that a crop may cut off."""
    light: float = 0.2
    """Largest relative change of gain and contrast."""
    turn: bool = False
    """Quarter turns are allowed."""


def read_pictures(folder: Path, labels: Sequence[str]) -> list[Picture]:
    """Return the pictures of train and val of a folder that a recipe names. Raises ``DataError`` if one thing is wrong with it.

    The recipes' folders are prepared: what ``read_labelled`` would mend or leave out is refused here.
    """
    remarks = Remarks()
    listed = list_pictures(folder, ("train", "val"), LabelSet(tuple(labels)), {}, remarks)
    listed = with_station_labels(listed, labels, {}, remarks)
    pictures = [_picture(picture, remarks) for picture in listed]
    if not remarks.refusals:
        check_counts(listed, labels, None, remarks)
    if shared := {p.group for p in pictures if p.split == "train"} & {p.group for p in pictures if p.split == "val"}:
        remarks.refuse("torn group", f"group {min(shared)!r} stands in train and in val; a part must stay on one side")
    remarks.settle(folder, None)
    return pictures


def _picture(listed: Listed, remarks: Remarks) -> Picture:
    if not listed.path.is_file():
        remarks.refuse("missing", f"{listed.file}: annotations.json names this picture, but the file is missing; fetch the data anew")
    return Picture(listed.path, listed.label, str(listed.split), listed.group or listed.file, listed.taken_at, listed.entry, listed.lot)


def varied(image: Image, how: Augmentation, rng: np.random.Generator) -> Image:
    """Return a randomly cropped, flipped and lit copy of a picture."""
    height, width = image.shape[:2]
    high, wide = (max(int(size * (1 - how.crop * rng.random())), 1) for size in (height, width))
    top, left = int(rng.integers(height - high + 1)), int(rng.integers(width - wide + 1))
    image = image[top : top + high, left : left + wide]
    image = image[:, ::-1] if how.flip_x and rng.random() < 0.5 else image
    image = image[::-1] if how.flip_y and rng.random() < 0.5 else image
    image = np.rot90(image, int(rng.integers(4))) if how.turn else image
    gain, contrast = 1 + how.light * rng.uniform(-1, 1, 2)
    mean = image.mean()
    lit = (image.astype(np.float32) - mean) * contrast + mean * gain
    return np.ascontiguousarray(lit.clip(0, 255).astype(np.uint8))


def trunk_features(  # noqa: PLR0913 - what shapes the features, and where they are kept
    trunk: Trunk | None,
    pictures: Sequence[Picture],
    side: int,
    how: Augmentation | None,
    copies: int,
    seed: int,
    cache: Path,
    *,
    half: bool = False,
    console: Console | None = None,
) -> NDArray[np.float16] | NDArray[np.uint8]:
    """Return (n, copies, 272, side / 16, side / 16) float16 trunk features, computed once and kept in ``cache``.

    Without a trunk: (n, copies, side, side, 3) uint8 pixels. Copy 0 is the picture as it is; the others are varied. The cache's name is a
    hash of everything that shaped it. ``half`` computes the varied copies in bfloat16.
    """
    shape = (side, side, 3) if trunk is None else (trunk.channels, side // 16, side // 16)
    parts = [str((p.path.name, p.path.stat().st_size)) for p in pictures]
    parts += [str((side, how, copies, seed, shape, half)), "" if trunk is None else _weights_hash(trunk)]
    file = cache / f"features-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:16]}.npy"
    if file.is_file():
        return np.asarray(np.load(file, mmap_mode="r"))
    cache.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(f".{os.getpid()}.npy")
    kept = np.lib.format.open_memmap(fresh, "w+", np.uint8 if trunk is None else np.float16, (len(pictures), copies, *shape))
    rng = np.random.default_rng(seed)
    for index, picture in enumerate(track(pictures, f"reading {len(pictures)} pictures", console=console)):
        image = read_rgb(picture.path)
        pixels = np.stack(
            [squared(view, side) for view in (image, *(varied(image, how or Augmentation(), rng) for _ in range(copies - 1)))]
        )
        kept[index] = pixels if trunk is None else _features(trunk, pixels, half=half)
    kept.flush()
    fresh.replace(file)  # a kill never leaves half a file under the final name
    return np.asarray(np.load(file, mmap_mode="r"))


def _features(trunk: Trunk, pixels: NDArray[np.uint8], *, half: bool) -> NDArray[np.float16]:
    """Return features of (copies, S, S, 3); the first copy, which is checked with, always in float32."""
    with torch.inference_mode():
        first = trunk(torch.from_numpy(pixels[:1])).numpy()
        if len(pixels) == 1:
            return np.asarray(first, np.float16)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            rest = trunk(torch.from_numpy(pixels[1:])).float().numpy()
    return np.concatenate([first, rest]).astype(np.float16)


def _weights_hash(trunk: Trunk) -> str:
    digest = hashlib.sha256()
    for value in trunk.state_dict().values():
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()
