"""A picture as a folder or an annotation file lists it: nothing is opened, no label is checked, a split or a group may be missing."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeAlias

Split: TypeAlias = Literal["train", "val", "test"]
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
"""File names that are taken for pictures, in lower case."""
_SPLITS: dict[str, Split] = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True, slots=True)
class Listed:
    """One picture that somebody says exists."""

    file: str
    """Path below the data folder with forward slashes; its name everywhere."""
    path: Path
    """Where it lies."""
    label: str
    """Label in the words of the source."""
    split: Split | None = None
    """Side that the source puts it on; None if the source has no sides."""
    folders: tuple[str, ...] = ()
    """Folders between the label's (or the split's, where labels have none) and the file."""
    group: str | None = None
    """Part, plate or board, where the source says so."""
    size_px: tuple[int, int] | None = None
    """Width and height that the source claims."""
    taken_at: datetime | None = None
    """When it was taken, UTC, where the source says so."""
    lot: str | None = None
    """Lot, position or batch, where the source says so."""
    entry: dict[str, Any] | None = None
    """The source's own record: boxes in pixels and meta."""


def split_named(folder: str) -> Split | None:
    """Return the split that a folder's name stands for."""
    return _SPLITS.get(folder.casefold())


def is_wanted(split: Split | None, wanted: Collection[Split]) -> bool:
    """Tell whether pictures of a split may be listed; without a split they may become train or val."""
    return bool(set(wanted) & {"train", "val"}) if split is None else split in wanted


def safe_name(name: object) -> str:
    """Return a listed file name with forward slashes. Raises ``ValueError`` if it is none or leads out of its folder."""
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"the file name is {name!r}, expected text")
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise ValueError(f"{name!r} leaves its folder; name files below it")
    return path.as_posix()
