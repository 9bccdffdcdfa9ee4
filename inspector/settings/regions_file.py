"""The tables [regions.NAME] of station.toml: written anew, comments and everything else kept; and what a box must be to be written."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import tomlkit
from pydantic import TypeAdapter, ValidationError
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from inspector.errors import SettingsError
from inspector.settings.base import Name
from inspector.settings.sections import StationSettings
from inspector.settings.station import FILE, parse_station, read_station
from inspector.settings.table_file import replace_text, text_of

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
    path, before = folder / FILE, read_station(folder)
    old = text_of(path)
    text = _with_regions(old, boxes, path)
    wanted = {**before.model_dump(), "regions": {name: {"box_px": box} for name, box in boxes.items()}}
    if _dumped(text, folder) != wanted:
        raise SettingsError(str(path), ["its regions cannot be replaced; write each as a table of its own, [regions.NAME]"])
    try:
        replace_text(path, text)
    except OSError as error:
        raise SettingsError(str(path), [f"cannot be written ({error.strerror}); check the folder's owner and the disk"]) from error
    return path


def _with_regions(text: str, boxes: Mapping[str, Box], path: Path) -> str:
    try:
        document = tomlkit.parse(text)
        regions = document.get("regions")
        if not boxes:
            return tomlkit.dumps(document) if regions is None else tomlkit.dumps(document.remove("regions"))
        if regions is None:
            regions = tomlkit.table(is_super_table=True)
            document.append("regions", regions)
            regions = document["regions"]
        for name in [name for name in regions if name not in boxes]:
            del regions[name]
        for name, box in boxes.items():
            if name in regions and tuple(regions[name]["box_px"]) != box:
                regions[name]["box_px"] = list(box)
            elif name not in regions:
                regions[name] = _table(box)
        return tomlkit.dumps(document)
    except (TOMLKitError, TypeError, KeyError) as error:
        raise SettingsError(str(path), [f"its regions cannot be replaced ({error}); write each as a table, [regions.NAME]"]) from error


def _table(box: Box) -> Table:
    table = tomlkit.table()
    table["box_px"] = list(box)
    table.add(tomlkit.nl())
    return table


def _dumped(text: str, folder: Path) -> dict[str, object]:
    """Return the settings in a text as plain values, {} if it holds none."""
    try:
        settings: StationSettings = parse_station(tomllib.loads(text), folder)
    except (ValueError, SettingsError):
        return {}
    return settings.model_dump()


def _is_name(name: str) -> bool:
    try:
        _NAME.validate_python(name)
    except ValidationError:
        return False
    return True
