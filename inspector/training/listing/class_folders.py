"""Class folders: ``train/<label>/...`` and ``val/<label>/...``, or ``<label>/...`` without sides; folders below a label are looked into."""

import os
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from inspector.training.listing.listed import SUFFIXES, Listed, Split, is_wanted, split_named
from inspector.training.remarks import Remarks


def list_class_folders(folder: Path, wanted: Collection[Split], remarks: Remarks) -> list[Listed]:
    """Return the pictures of the wanted splits, sorted by file. What lies about beside them is noted."""
    passed_over = Counter[str]()
    found = [
        listed
        for split, place in _sides(folder)
        if is_wanted(split, wanted)
        for label in _subfolders(place)
        if split is not None or split_named(label.name) != "test"
        for listed in _pictures(folder, label, split, passed_over)
    ]
    for split, place in _sides(folder):
        if is_wanted(split, wanted):
            loose = sorted(path.name for path in place.iterdir() if _is_picture(path.name))
            if loose:
                where = place.relative_to(folder).as_posix()
                remarks.note(
                    "no label folder", f"{where}: {len(loose)} pictures lie in no label folder and are passed over: {loose[0]} ..."
                )
    _note_others(passed_over, remarks)
    return sorted(found, key=lambda listed: listed.file)


def list_loose_pictures(folder: Path, label: str, remarks: Remarks) -> list[Listed]:
    """Return all pictures below a folder under one label and to be learnt from, sorted by file. Other files are noted."""
    passed_over = Counter[str]()
    found = [replace(listed, label=label) for listed in _pictures(folder, folder, "train", passed_over)]
    _note_others(passed_over, remarks)
    return sorted(found, key=lambda listed: listed.file)


def _note_others(passed_over: Counter[str], remarks: Remarks) -> None:
    if passed_over:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(passed_over.items()))
        remarks.note("other files", f"passed over, because they are none of {', '.join(sorted(SUFFIXES))}: {kinds}")


def _sides(folder: Path) -> list[tuple[Split | None, Path]]:
    """Return the folders that hold label folders. Without train/ and val/ the data folder itself is one, and test/ stays apart."""
    named: list[tuple[Split | None, Path]] = [(split, place) for place in _subfolders(folder) if (split := split_named(place.name))]
    return named if any(split in {"train", "val"} for split, _ in named) else [(None, folder), *named]


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _pictures(root: Path, label: Path, split: Split | None, passed_over: Counter[str]) -> Iterator[Listed]:
    for place, subfolders, names in os.walk(label):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        below = Path(place).relative_to(label).parts
        for name in names:
            if _is_picture(name):
                path = Path(place) / name
                yield Listed(path.relative_to(root).as_posix(), path, label.name, split, below)
            elif not name.startswith("."):
                passed_over[Path(name).suffix.lower() or "without suffix"] += 1


def _is_picture(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")  # macOS leaves ._a.jpg beside a.jpg
