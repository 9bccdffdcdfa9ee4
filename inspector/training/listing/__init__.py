"""What a data folder says its pictures are, before one is opened: class folders, ``annotations.json`` or COCO, found out by looking."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path

from inspector.core.label import LabelSet
from inspector.training.listing.annotations import list_annotations
from inspector.training.listing.class_folders import list_class_folders, list_loose_pictures
from inspector.training.listing.coco import CocoFile, is_coco, list_coco, split_of_file
from inspector.training.listing.listed import Listed, Split, is_wanted, split_named
from inspector.training.remarks import Remarks

__all__ = ["Listed", "Split", "list_loose_pictures", "list_pictures", "split_named"]


def list_pictures(folder: Path, wanted: Collection[Split], labels: LabelSet, renames: Mapping[str, str], remarks: Remarks) -> list[Listed]:
    """Return the pictures of the wanted splits in the words of the source: in the order of annotations.json, else sorted by file."""
    tables = _tables(folder, wanted, remarks)
    own = tables.get(folder / "annotations.json")
    if own is not None and not is_coco(own):
        if not isinstance(own, dict) or not isinstance(own.get("images"), list):
            expected = '{"images": [{"file": "train/...", "label": ..., "group": ...}]}'
            remarks.refuse("annotation", f"annotations.json: cannot be read; expected {expected} or COCO")
            return []
        return list_annotations(folder, own, wanted, remarks)
    coco = [CocoFile(path, table, split_of_file(path, folder)) for path, table in tables.items() if is_coco(table)]
    if coco:
        found = [
            listed for file in coco if is_wanted(file.split, wanted) for listed in list_coco(folder, file, wanted, labels, renames, remarks)
        ]
        return _listed_once(found, remarks)
    if remarks.refusals:
        return []
    return list_class_folders(folder, wanted, remarks)


def _tables(folder: Path, wanted: Collection[Split], remarks: Remarks) -> dict[Path, object]:
    """Return the JSON files that may be annotations, those of unwanted splits unread."""
    places = [folder, folder / "annotations", *(path for path in folder.iterdir() if path.is_dir() and split_named(path.name))]
    paths = [path for place in places for path in sorted(place.glob("*.json")) if is_wanted(split_of_file(path, folder), wanted)]
    tables: dict[Path, object] = {}
    for path in paths:
        try:
            tables[path] = json.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError) as error:
            name = path.relative_to(folder).as_posix()
            remarks.refuse("annotation", f"{name}: cannot be read ({error}); correct it, or move it away if it is no annotation file")
    return tables


def _listed_once(found: list[Listed], remarks: Remarks) -> list[Listed]:
    """Return the pictures sorted by file; two annotation files, or two entries, about one picture are refused."""
    once = dict[str, Listed]()
    for listed in sorted(found, key=lambda listed: listed.file):
        if listed.file in once:
            remarks.refuse("annotation", f"{listed.file}: is listed twice in the COCO files; keep one entry")
        once.setdefault(listed.file, listed)
    return list(once.values())
