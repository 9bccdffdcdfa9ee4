"""COCO: a JSON file with images, annotations and categories. A picture's label is its category; one without annotation is good.

Of several categories the most severe one counts, between equals the one with the largest box. Format: https://cocodataset.org/#format-data
Files are found where the usual tools put them: beside the pictures, above them, or in ``annotations/``.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard

from inspector.core.label import LabelSet
from inspector.training.listing.listed import Listed, Split, is_wanted, safe_name, split_named
from inspector.training.remarks import Remarks

_RANK = {"minor": 1, "major": 2, "critical": 3}
_Box = dict[str, Any]
_SPLIT_IN_NAME = re.compile(r"(?:^|[^a-z])(train|validation|valid|val|test)")


@dataclass(frozen=True, slots=True)
class CocoFile:
    """One annotation file."""

    path: Path
    """JSON file."""
    table: Mapping[str, Any]
    """Its content."""
    split: Split | None
    """The split that its place or its name says it is about."""


def is_coco(table: object) -> TypeGuard[dict[str, Any]]:
    """Tell whether a JSON document has the three tables of COCO."""
    return isinstance(table, dict) and all(isinstance(table.get(key), list) for key in ("images", "annotations", "categories"))


def split_of_file(path: Path, root: Path) -> Split | None:
    """Return the split that an annotation file is about, from its folder or its name."""
    by_folder = split_named(path.parent.name) if path.parent != root else None
    found = _SPLIT_IN_NAME.search(path.stem.lower())
    return by_folder or (split_named(found.group(1)) if found else None)


def list_coco(
    root: Path, file: CocoFile, wanted: Collection[Split], labels: LabelSet, renames: Mapping[str, str], remarks: Remarks
) -> list[Listed]:
    """Return the pictures of the wanted splits. Images and annotations that cannot be read are refused by their number."""
    boxes, places = _boxes_by_image(file, remarks), _places(root, file)
    found = []
    for number, image in enumerate(file.table["images"]):
        try:
            path = _place(places, safe_name(image["file_name"]))
            name = path.relative_to(root).as_posix()
            split = file.split or split_named(PurePosixPath(name).parts[0])
            if is_wanted(split, wanted):
                found.append(_listed(path, name, split, image, boxes.get(image["id"], []), _Words(labels, renames)))
        except (KeyError, ValueError, TypeError) as error:
            said = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
            remarks.refuse("annotation", f"{file.path.name}: images[{number}]: {said}")
    return found


@dataclass(frozen=True, slots=True)
class _Words:
    """What categories mean at the station."""

    labels: LabelSet
    """The product's labels."""
    renames: Mapping[str, str]
    """Category to label, where they differ."""

    def label(self, boxes: Sequence[_Box]) -> str:
        """Return the category that counts. Raises ``ValueError`` if there is none and the product knows no good label."""
        if boxes:
            worst: str = max(boxes, key=self._weight)["class"]
            return worst
        if self.labels.good is None:
            raise ValueError("has no annotation, and the product has no good label; name it in station.toml (good = ...) or annotate it")
        return self.labels.good

    def _weight(self, box: _Box) -> tuple[int, float]:
        label = self.renames.get(box["class"], box["class"])
        rank = 0 if label == self.labels.good else _RANK[self.labels.severity.get(label, "major")]
        return rank, float(box["bbox"][2]) * float(box["bbox"][3])


def _listed(path: Path, name: str, split: Split | None, image: Mapping[str, Any], boxes: list[_Box], words: _Words) -> Listed:
    label = words.label(boxes)
    folders = PurePosixPath(name).parts[:-1]
    group = image.get("group")
    return Listed(
        name,
        path,
        label,
        split,
        folders[1:] if folders and split_named(folders[0]) else folders,
        None if group is None else str(group),
        (int(image["width"]), int(image["height"])) if "width" in image and "height" in image else None,
        entry={"file": name, "label": label, "boxes": boxes, "width": image.get("width"), "height": image.get("height")},
    )


def _boxes_by_image(file: CocoFile, remarks: Remarks) -> dict[Any, list[_Box]]:
    """Return image id -> boxes, each with ``bbox`` (x, y, w, h in pixels) and ``class``."""
    names = {row.get("id"): row.get("name") for row in file.table["categories"] if isinstance(row, dict)}
    known = {image.get("id") for image in file.table["images"] if isinstance(image, dict)}
    boxes = defaultdict[Any, list[_Box]](list)
    for number, row in enumerate(file.table["annotations"]):
        try:
            boxes[_known(row["image_id"], known, "image_id")].append(_box(row, names))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            said = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
            remarks.refuse("annotation", f"{file.path.name}: annotations[{number}]: {said}")
    return dict(boxes)


def _box(row: Mapping[str, Any], names: Mapping[Any, Any]) -> _Box:
    x, y, width, height = (float(side) for side in row.get("bbox") or (0, 0, 0, 0))
    return {"bbox": [x, y, width, height], "class": str(names[_known(row["category_id"], names, "category_id")])}


def _known(value: object, known: Collection[Any], key: str) -> object:
    if value not in known:
        raise ValueError(f"{key} is {value!r}, which is no id in this file")
    return value


def _places(root: Path, file: CocoFile) -> list[Path]:
    """Return the folders that file names may start from: the file's own, the data folder, ``images/`` in them, or one named as the file."""
    own, about = file.path.parent, file.path.stem.lower().removeprefix("instances_")
    places = [own, own / "images", root, root / "images"]
    return places + [place / name for place in (root, root / "images") for name in dict.fromkeys([about, file.split or about])]


def _place(places: Sequence[Path], name: str) -> Path:
    """Return where a picture lies; the first place if it lies nowhere, which the examination of the files will tell."""
    return next((place / name for place in places if (place / name).is_file()), places[0] / name)
