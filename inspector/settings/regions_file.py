"""The tables [regions.NAME] of station.toml: written anew, comments and everything else kept; and what a box must be to be written."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import tomlkit
from pydantic import TypeAdapter, ValidationError
from tomlkit import TOMLDocument
from tomlkit.items import Table

from inspector.settings.base import Name
from inspector.settings.sections import RegionSection, StationSettings
from inspector.settings.station_change import change_station

Box: TypeAlias = tuple[int, int, int, int]
"""x, y, width, height, pixels."""
_NAME: TypeAdapter[str] = TypeAdapter(Name)


def box_mistakes(boxes: Sequence[tuple[str, Box]], size_px: tuple[int, int], least_px: int) -> list[str]:
    """Return what is wrong with named boxes on a picture of a size (width, height), one line each, [] if nothing is.

    ``least_px`` is the least side of a box that can be judged.
    """
    mistakes, names = list[str](), [name for name, _ in boxes]
    for place, (name, (x, y, width, height)) in enumerate(boxes):
        shown = f"region {name!r}, [{x}, {y}, {width}, {height}]"
        if not _is_name(name):
            mistakes.append(f"{shown}: a name takes letters, digits and _ . - and begins with a letter or digit")
        if name in names[:place]:
            mistakes.append(f"{shown}: there is another region of this name; rename one of them")
        if x < 0 or y < 0 or x + width > size_px[0] or y + height > size_px[1]:
            mistakes.append(f"{shown}: leaves the picture of {size_px[0]} x {size_px[1]} pixels; move it inside or make it smaller")
        if min(width, height) < least_px:
            mistakes.append(f"{shown}: too small, width and height must be {least_px} pixels or more (quality.min_side_px)")
    return mistakes


def write_regions(folder: Path, boxes: Mapping[str, Box]) -> Path:
    """Let the station have these regions and no others; return the file. Raises ``SettingsError``, and then nothing has changed."""

    def expected(before: StationSettings) -> StationSettings:
        return before.model_copy(update={"regions": {name: RegionSection(box_px=box) for name, box in boxes.items()}})

    return change_station(folder, "regions", partial(_change, boxes), expected, "write each region as a table of its own, [regions.NAME]")


def _change(boxes: Mapping[str, Box], document: TOMLDocument) -> None:
    """Give a document these regions and no others."""
    if not boxes:
        document.pop("regions", None)
        return
    if "regions" not in document:
        document.append("regions", tomlkit.table(is_super_table=True))
    regions: Any = document["regions"]
    for name in [name for name in regions if name not in boxes]:
        del regions[name]
    for name, box in boxes.items():
        if name not in regions:
            regions[name] = _table(box)
        elif tuple(regions[name]["box_px"]) != box:
            regions[name]["box_px"] = list(box)


def _table(box: Box) -> Table:
    table = tomlkit.table()
    table["box_px"] = list(box)
    table.add(tomlkit.nl())
    return table


def _is_name(name: str) -> bool:
    try:
        _NAME.validate_python(name)
    except ValidationError:
        return False
    return True
