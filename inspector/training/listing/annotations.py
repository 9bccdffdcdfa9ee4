"""``annotations.json``: one entry a picture with file, label, group, boxes, width, height and meta (time, lot, position).

    {"images": [{"file": "train/ok/a.jpg", "label": "ok", "group": "part-7", "meta": {"time": "2026-11-23T14:00:00Z", "lot": "L1"}}]}

The split is the first folder of ``file``; where no file stands below train/ or val/ the pictures have no sides.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from inspector.training.listing.listed import Listed, Split, is_wanted, safe_name, split_named
from inspector.training.remarks import Remarks


def list_annotations(folder: Path, table: Mapping[str, Any], wanted: Collection[Split], remarks: Remarks) -> list[Listed]:
    """Return the entries of the wanted splits in the file's order. An entry that cannot be read is refused by its number."""
    found, seen = [], set[str]()
    for number, entry in enumerate(table["images"]):
        try:
            listed = _listed(folder, entry, wanted)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            said = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
            remarks.refuse(
                "annotation", f'annotations.json: images[{number}]: {said}; expected {{"file": ..., "label": ..., "group": ...}}'
            )
            continue
        if listed is not None and listed.file in seen:
            remarks.refuse("annotation", f"annotations.json: images[{number}]: {listed.file} is listed twice; keep one entry")
        elif listed is not None:
            found.append(listed)
            seen.add(listed.file)
    return found


def _listed(folder: Path, entry: dict[str, Any], wanted: Collection[Split]) -> Listed | None:
    """Return an entry of a wanted split, None if it is of another. Raises what a wrong entry raises."""
    file = safe_name(entry["file"])
    parts = PurePosixPath(file).parts
    split = split_named(parts[0]) if len(parts) > 1 else None
    if not is_wanted(split, wanted):
        return None
    label, group, meta = entry["label"], entry.get("group"), entry.get("meta") or {}
    if not isinstance(label, str):
        raise TypeError(f"label is {label!r}, expected text")
    below = parts[1:-1] if split else parts[:-1]
    return Listed(
        file,
        folder / file,
        label,
        split,
        below[1:] if below[:1] == (label,) else below,
        None if group is None or not str(group).strip() else str(group),
        (int(entry["width"]), int(entry["height"])) if "width" in entry and "height" in entry else None,
        _instant(meta.get("time")),
        _lot(meta),
        entry,
    )


def _lot(meta: Mapping[str, Any]) -> str | None:
    """Return the lot: a lot by name, or the position that is inspected again and again."""
    lot = meta.get("lot") or meta.get("position")
    return None if lot is None else str(lot)


def _instant(time: str | None) -> datetime | None:
    """Return an instant as UTC, which it is if it names no zone."""
    if not time:
        return None
    instant = datetime.fromisoformat(time)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
