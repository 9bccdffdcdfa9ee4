"""Labelled pictures and their cached features.

A data folder holds ``annotations.json`` (file, label, group, boxes, time; files under train/, val/, test/) or class folders under
``train/`` and ``val/``. ``test/`` is never read here.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from inspector.core.frame import Image
from inspector.errors import CheckpointError
from inspector.training.tower import Trunk
from inspector.vlm.pixels import squared

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True, slots=True)
class Picture:
    """One labelled picture."""

    path: Path
    """File."""
    label: str
    """True label."""
    split: str
    """train or val."""
    group: str
    """Part, position, plate or board: all pictures of a group stand in one split."""
    taken_at: datetime | None = None
    """When it was taken, UTC, where the source says so."""
    entry: dict[str, Any] | None = None
    """The source's own record: boxes in pixels and meta."""
    lot: str | None = None
    """Lot, position or batch that reports are looked up by, where the source says so."""


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


def read_pictures(folder: Path, labels: Sequence[str]) -> list[Picture]:
    """Return the pictures of train and val. Raises ``CheckpointError`` if there are none or a label is unknown."""
    listing = folder / "annotations.json"
    pictures = _from_annotations(folder, listing) if listing.is_file() else _from_folders(folder)
    if not pictures:
        raise CheckpointError(f"{folder}: no pictures found; expected annotations.json or train/<label>/*.jpg and val/<label>/*.jpg")
    unknown = sorted({p.label for p in pictures} - set(labels))
    if unknown:
        raise CheckpointError(f"{folder}: label {unknown[0]!r} is not one of the product's labels {', '.join(labels)}")
    for split, wanted in (("train", set(labels)), ("val", set())):
        found = {p.label for p in pictures if p.split == split}
        if not found or wanted - found:
            lacking = f"label {min(wanted - found)!r} has" if found else "there is"
            raise CheckpointError(f"{folder}: {lacking} no picture in {split}; add some, or take the label out of the recipe")
    shared = {p.group for p in pictures if p.split == "train"} & {p.group for p in pictures if p.split == "val"}
    if shared:
        raise CheckpointError(f"{folder}: group {min(shared)!r} stands in train and in val; a part must stay on one side")
    return pictures


def _from_annotations(folder: Path, listing: Path) -> list[Picture]:
    try:
        entries = json.loads(listing.read_text(encoding="utf-8"))["images"]
        return [_from_entry(folder, entry) for entry in entries if entry["file"].split("/")[0] in {"train", "val"}]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        expected = '{"images": [{"file": "train/...", "label": ..., "group": ...}]}'
        raise CheckpointError(f"{listing}: cannot be read ({type(error).__name__}: {error}); expected {expected}") from error


def _from_entry(folder: Path, entry: dict[str, Any]) -> Picture:
    path, time = folder / entry["file"], (entry.get("meta") or {}).get("time")
    if ".." in path.relative_to(folder).parts:
        raise CheckpointError(f"{folder}: {entry['file']!r} leaves its split; name files below train/ or val/")
    if not path.is_file():
        raise CheckpointError(f"{path}: annotations.json names this picture, but the file is missing; fetch the data anew")
    taken_at = datetime.fromisoformat(time) if time else None
    if taken_at is not None:
        taken_at = taken_at.replace(tzinfo=UTC) if taken_at.tzinfo is None else taken_at.astimezone(UTC)
    return Picture(path, entry["label"], entry["file"].split("/")[0], entry["group"], taken_at, entry, _lot(entry))


def _lot(entry: dict[str, Any]) -> str | None:
    """Return the lot that a source's record names: a lot, or the position that is inspected again and again."""
    meta = entry.get("meta") or {}
    return meta.get("lot") or meta.get("position")


def _from_folders(folder: Path) -> list[Picture]:
    files = [
        (split, path) for split in ("train", "val") for path in sorted((folder / split).glob("*/*")) if path.suffix.lower() in _SUFFIXES
    ]
    return [Picture(path, path.parent.name, split, f"{split}/{path.name}") for split, path in files]


def read_rgb(path: Path) -> Image:
    """Return a training picture as (H, W, 3) uint8 RGB. Raises ``CheckpointError`` if it cannot be decoded."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise CheckpointError(f"{path}: not a picture that can be decoded; remove or replace it")
    return np.asarray(image, np.uint8)


def varied(image: Image, how: Augmentation, rng: np.random.Generator) -> Image:
    """Return a randomly cropped, flipped and lit copy of a picture."""
    height, width = image.shape[:2]
    high, wide = (max(int(size * (1 - how.crop * rng.random())), 1) for size in (height, width))
    top, left = int(rng.integers(height - high + 1)), int(rng.integers(width - wide + 1))
    image = image[top : top + high, left : left + wide]
    image = image[:, ::-1] if how.flip_x and rng.random() < 0.5 else image
    image = image[::-1] if how.flip_y and rng.random() < 0.5 else image
    gain, contrast = 1 + how.light * rng.uniform(-1, 1, 2)
    mean = image.mean()
    lit = (image.astype(np.float32) - mean) * contrast + mean * gain
    return np.ascontiguousarray(lit.clip(0, 255).astype(np.uint8))


def trunk_features(
    trunk: Trunk, pictures: Sequence[Picture], side: int, how: Augmentation | None, copies: int, seed: int, cache: Path
) -> NDArray[np.float16]:
    """Return (n, copies, 272, side / 16, side / 16) float16 trunk features, computed once and kept in ``cache``.

    Copy 0 is the picture as it is; the others are varied. The cache's name is a hash of everything that shaped it.
    """
    parts = [str((p.path.name, p.path.stat().st_size)) for p in pictures] + [str((side, how, copies, seed, trunk.channels))]
    file = cache / f"features-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:16]}.npy"
    if file.is_file():
        return np.asarray(np.load(file, mmap_mode="r"))
    cells = side // 16
    features = np.empty((len(pictures), copies, trunk.channels, cells, cells), np.float16)
    rng = np.random.default_rng(seed)
    for index, picture in enumerate(track(pictures, f"features of {len(pictures)} pictures")):
        image = read_rgb(picture.path)
        variants = [image] + [varied(image, how or Augmentation(), rng) for _ in range(copies - 1)]
        batch = torch.from_numpy(np.stack([squared(variant, side) for variant in variants]))
        with torch.inference_mode():
            features[index] = trunk(batch).numpy().astype(np.float16)
    cache.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(f".{os.getpid()}.npy")
    np.save(fresh, features)
    fresh.replace(file)  # a kill never leaves half a file under the final name
    return features
