"""Folders of tiny labelled pictures, made on the spot."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2

from inspector.core.label import LabelSet
from tests.station_kit import picture

LABELS = LabelSet(("ok", "dent", "rust"), "ok", severity={"rust": "critical"})


def lay(folder: Path, files: Mapping[str, int]) -> Path:
    """Write a picture for each file; the same number gives the same picture."""
    for name, seed in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(path.suffix.lower(), picture(seed, 24, 32))[1].tobytes())
    return folder


def part_folders(split: str, parts: range, labels: Sequence[str] = LABELS.names) -> dict[str, int]:
    """Return files of parts, each with two pictures of one label, named ``<part>_<side>.png`` in class folders below ``split``."""
    prefix = f"{split}/" if split else ""
    return {
        f"{prefix}{labels[part % len(labels)]}/{part:03d}_{side}.png": 2 * part + number
        for part in parts
        for number, side in enumerate(("left", "right"))
    }


def write_json(path: Path, table: Any) -> Path:
    """Write a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(table), encoding="utf-8")
    return path


def coco(files: Mapping[str, Sequence[tuple[str, float]]], **extra: Any) -> dict[str, Any]:
    """Return a COCO table: file name -> (category, side of its square box) of each annotation; ``extra`` replaces tables."""
    categories = sorted({name for boxes in files.values() for name, _ in boxes})
    images = [{"id": number, "file_name": name, "width": 32, "height": 24} for number, name in enumerate(files)]
    annotations = [
        {"id": len(files), "image_id": number, "category_id": categories.index(name), "bbox": [1, 1, side, side]}
        for number, boxes in enumerate(files.values())
        for name, side in boxes
    ]
    rows = [{"id": number, "name": name} for number, name in enumerate(categories)]
    return {"images": images, "annotations": annotations, "categories": rows} | extra
