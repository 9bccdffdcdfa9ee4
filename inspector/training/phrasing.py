"""What a technician would have written about a picture: only what its annotation says, in several telegraphic phrasings.

``positions``: number, size and place of pits from the boxes, and growth against the inspection before. ``lots``: the label alone, because
the source says no more. Any other history: the label alone, in words that fit any product; of the good label, that nothing was found.
Phrasings for validation are never used in training, so that a report helps by its meaning, not by its wording.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inspector.training.dataset import Picture

VARIANTS = 4
"""Phrasings of each report in training; validation reports are phrased in as many unseen ways."""

_CLEAN = {
    "train": (
        "groove clean, no pits found",
        "insp. done, no pitting",
        "no craters in groove, chk again next round",
        "pos checked: no pits",
        "surface ok, no pitting to report",
        "0 pits",
        "nothing found - no pitting at this position",
        "spindle ok here, groove w/o pits",
    ),
    "val": (
        "checked raceway, free of pits",
        "no sign of pitting so far",
        "position in order, no crater seen",
        "all good, pits: none",
    ),
}
_PITTED = {
    "train": (
        "{count} in groove, biggest {wide}x{high} px, {place}{growth}",
        "pitting found {place}, abt {wide} x {high} px{growth}",
        "crater {place}, {wide}x{high} px{growth}",
        "pos pitted: {count}, {place}{growth}",
        "PITTING - {count}, max {longest} px{growth}",
        "surface damage, pit {place} {longest} px long{growth}",
    ),
    "val": (
        "raceway damaged by pitting, {longest} px, {place}{growth}",
        "found {count}, largest about {longest} px{growth}",
        "pit seen {place}, size {wide} by {high} px{growth}",
        "wear crater(s): {count}{growth}",
    ),
}
_NAMED = {
    "train": (
        "{name} found on strip",
        "coil insp: {name}",
        "{name} again, see pic",
        "QC reject - {name}",
        "surface shows {name}",
        "op. reports {name}, coil set aside",
        "defect: {name}",
        "strip ng, {name}",
    ),
    "val": (
        "part of the strip has {name}",
        "inspected coil, saw {name}",
        "{name} noted by the night shift",
        "complaint: {name} on the surface",
    ),
}
_ANY = {
    "train": (
        "{name} found",
        "part insp: {name}",
        "{name} again, see pic",
        "QC reject - {name}",
        "shows {name}",
        "op. reports {name}, part set aside",
        "defect: {name}",
        "lot has parts with {name}",
    ),
    "val": ("inspected, saw {name}", "{name} noted by the night shift", "complaint: {name}", "part ng because of {name}"),
}
_ANY_GOOD = {
    "train": (
        "ok",
        "insp. done, nothing found",
        "no defects, {name}",
        "QC pass",
        "part in order",
        "checked: {name}",
        "0 defects, released",
        "no complaint, lot looks clean",
    ),
    "val": ("free of defects", "all good so far", "checked and released, {name}", "nothing to report"),
}


def phrasings(history: str, chosen: Sequence[Picture], known: Sequence[Picture], seed: int, good: str | None = None) -> list[list[str]]:
    """Return ``VARIANTS`` texts about each chosen picture; ``known`` gives the earlier inspections that growth is measured against."""
    rng = np.random.default_rng(seed)
    if history == "positions":
        before = previous_sizes(known)
        return [_texts(picture, *_pits(picture, before.get(str(picture.path))), rng) for picture in chosen]
    named = {False: _NAMED, True: _NAMED} if history == "lots" else {False: _ANY, True: _ANY_GOOD}
    return [_texts(picture, named[picture.label == good], {"name": picture.label.replace("_", " ")}, rng) for picture in chosen]


def previous_sizes(pictures: Sequence[Picture]) -> dict[str, float | None]:
    """Return, for each picture of a position, the longest pit at the inspection just before, pixels.

    It is 0 if there was no pit then, and None for the first inspection: nothing can have grown since.
    """
    found, last = dict[str, float | None](), dict[str, float]()
    for picture in sorted(pictures, key=lambda p: (p.group, str(p.taken_at))):
        found[str(picture.path)] = last.get(picture.group)
        last[picture.group] = _longest(picture)
    return found


def _texts(picture: Picture, templates: Mapping[str, Sequence[str]], facts: Mapping[str, Any], rng: np.random.Generator) -> list[str]:
    """Return texts about a picture; those for validation have wordings of their own."""
    chosen = templates["train" if picture.split == "train" else "val"]
    return [chosen[index].format(**facts) for index in rng.permutation(len(chosen))[:VARIANTS]]


def _pits(picture: Picture, before: float | None) -> tuple[Mapping[str, Sequence[str]], Mapping[str, Any]]:
    return (_PITTED, _facts(picture, before)) if _boxes(picture) else (_CLEAN, {})


def _facts(picture: Picture, before: float | None) -> Mapping[str, Any]:
    """Return what the boxes of a pitted picture say."""
    boxes = _boxes(picture)
    x, _, wide, high = max((box["bbox"] for box in boxes), key=lambda box: box[2] * box[3])
    third = (x + wide / 2) / (picture.entry or {}).get("width", 1)
    longest = _longest(picture)
    if before is None:
        growth = ""
    elif before == 0.0:
        growth = ", new"
    elif longest > 1.15 * before:
        growth = ", grown since last insp"
    else:
        growth = ", no growth"
    return {
        "count": f"{len(boxes)} pit" + ("s" if len(boxes) > 1 else ""),
        "wide": round(wide),
        "high": round(high),
        "longest": round(longest),
        "place": "left" if third < 1 / 3 else "right" if third > 2 / 3 else "middle",
        "growth": growth,
    }


def _longest(picture: Picture) -> float:
    """Return the longest side of all boxes, pixels; 0 if there is none."""
    return float(max((max(box["bbox"][2:]) for box in _boxes(picture)), default=0.0))


def _boxes(picture: Picture) -> list[dict[str, Any]]:
    boxes: list[dict[str, Any]] = (picture.entry or {}).get("boxes", [])
    return boxes
