"""Reading station.toml: every mistake at once, or the settings."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from inspector.errors import SettingsError
from inspector.settings.mistakes import sentences
from inspector.settings.sections import StationSettings, cross_mistakes
from inspector.settings.toml_file import UnreadableError, read_table

FILE = "station.toml"
_GIVEN = ("name", "folder")
"""Fields that come from the folder, not from the file."""


def read_station(folder: Path) -> StationSettings:
    """Read ``folder/station.toml``. Raises ``SettingsError`` with every mistake."""
    return parse_station(read_station_table(folder), folder)


def read_station_table(folder: Path) -> dict[str, Any]:
    """Return the unchecked table in ``folder/station.toml``. Raises ``SettingsError`` if there is none."""
    path = folder / FILE
    try:
        return read_table(path)
    except FileNotFoundError:
        known = sorted(p.parent.name for p in folder.parent.glob(f"*/{FILE}"))
        near = difflib.get_close_matches(folder.name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"create it with: inspector init {folder.name} --template surface"
        raise SettingsError(str(path), [f"there is no such file; {hint}"]) from None
    except UnreadableError as error:
        raise SettingsError(str(path), [str(error)]) from error


def parse_station(table: Mapping[str, Any], folder: Path) -> StationSettings:
    """Check a settings table. Raises ``SettingsError`` with every mistake."""
    given = [f"{key}: not a setting; the station's name and place are those of its folder" for key in _GIVEN if key in table]
    try:
        settings = StationSettings.model_validate({**table, "name": _name(folder), "folder": folder})
    except ValidationError as error:
        mistakes = [*given, *sentences(error, StationSettings), *_cross_mistakes(table)]
        raise SettingsError(str(folder / FILE), list(dict.fromkeys(mistakes))) from None
    if given:
        raise SettingsError(str(folder / FILE), given)
    return settings


def usable_parts(table: Mapping[str, Any], folder: Path) -> tuple[StationSettings, frozenset[str]]:
    """Return the sections of a faulty table that are right by themselves, and the keys of those that are not.

    For ``inspector check`` alone: one mistake must not keep the other parts of a station from being tested. Sections left out of the
    settings have their defaults; ``products`` and ``cameras`` hold the tables that can be used.
    """
    values: dict[str, Any] = {"name": _name(folder), "folder": folder}
    broken = set()
    for key, field in StationSettings.model_fields.items():
        if key in _GIVEN:
            continue
        if get_origin(field.annotation) is dict:
            named = table.get(key, {})
            section = TypeAdapter(get_args(field.annotation)[1])
            good = dict(_valid(section, named)) if isinstance(named, Mapping) else {}
            values[key] = good
            broken |= {f"{key}.{name}" for name in named if name not in good} if isinstance(named, Mapping) else {key}
        elif key in table:
            annotation: Any = field.annotation
            found = dict(_valid(TypeAdapter(annotation), {key: table[key]}))
            values |= found
            broken |= {key} - found.keys()
    return StationSettings.model_construct(**values), frozenset(broken)


def _valid(adapter: TypeAdapter[Any], named: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in named.items():
        try:
            yield name, adapter.validate_python(value)
        except ValidationError:
            continue


def _cross_mistakes(table: Mapping[str, Any]) -> list[str]:
    """Return the mistakes between sections, as far as the table lets them be seen."""
    products, station = table.get("products"), table.get("station", {})
    if not isinstance(products, Mapping) or not isinstance(station, Mapping):
        return []
    chosen = station.get("product")
    return cross_mistakes(products, chosen) if chosen is None or isinstance(chosen, str) else []


def _name(folder: Path) -> str:
    """Return the station's name, also where the folder is given as ``.``."""
    return folder.name or folder.resolve().name
