"""Changing station.toml in one step: comments, order and everything else stay letter for letter, or nothing has changed."""

from collections.abc import Callable
from pathlib import Path

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.exceptions import TOMLKitError

from inspector.errors import SettingsError
from inspector.settings.sections import StationSettings
from inspector.settings.station import FILE, parse_station, read_station
from inspector.settings.table_file import replace_text


def change_station(
    folder: Path, key: str, change: Callable[[TOMLDocument], object], expected: Callable[[StationSettings], StationSettings], cure: str
) -> Path:
    """Change the document and see that it then means what is ``expected`` of the settings before; return the file.

    ``key`` and ``cure`` (what to write by hand) are for the message. Raises ``SettingsError``, and then nothing has changed.
    """
    path, before = folder / FILE, read_station(folder)
    try:
        document = tomlkit.parse(path.read_bytes().decode("utf-8-sig"))
        change(document)
        text = tomlkit.dumps(document)
        after = parse_station(tomlkit.parse(text).unwrap(), folder)
    except (OSError, TOMLKitError, TypeError, KeyError) as error:
        raise SettingsError(str(path), [f"{key}: cannot be replaced ({error}); {cure}"]) from error
    if after != expected(before):
        raise SettingsError(str(path), [f"{key}: cannot be replaced alone; {cure}"])
    try:
        replace_text(path, text)
    except OSError as error:
        raise SettingsError(str(path), [f"cannot be written ({error.strerror}); check the folder's owner and the disk"]) from error
    return path
