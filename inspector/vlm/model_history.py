"""The models that a station has used, in order: ``calibration/<station>/models.toml``. Which one is in use, station.toml alone says.

An entry that no station uses is harmless, so the history is written before a model is put into use: a kill in between changes nothing.
"""

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import tomlkit

from inspector.errors import CheckpointError
from inspector.settings.table_file import replace_text
from inspector.settings.toml_file import UnreadableError, read_table

FILE = "models.toml"
KEPT = 3
"""Models made for a station that are kept, the one in use among them."""
_HEAD = "Models of this station, oldest first; written by inspector. Which one is in use, model.checkpoint in station.toml says."


def read_history(station: Path) -> list[str]:
    """Return the checkpoints that a station has used, oldest first; empty if it never changed. Raises ``CheckpointError``."""
    path = station / FILE
    try:
        names: Any = read_table(path).get("checkpoints")
    except FileNotFoundError:
        return []
    except UnreadableError as error:
        names, reason = None, str(error)
    else:
        reason = "checkpoints must be a list of names"
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CheckpointError(f"{path}: {reason}; correct it, or delete the file: then there is nothing to go back to")
    return names


def write_history(station: Path, names: Sequence[str]) -> None:
    """Write the history, whole or not at all. Raises ``OSError``."""
    document = tomlkit.document()
    document.add(tomlkit.comment(_HEAD))
    checkpoints = tomlkit.array().multiline(multiline=True)
    checkpoints.extend(names)
    document.add("checkpoints", checkpoints)
    replace_text(station / FILE, tomlkit.dumps(document))


def followed_by(history: Sequence[str], current: str, fresh: str) -> list[str]:
    """Return the history with ``fresh`` in use right after ``current``, whatever else it holds before them."""
    return [*(name for name in history if name not in {current, fresh}), *dict.fromkeys([current, fresh])]


def neighbour(history: Sequence[str], current: str, *, forward: bool) -> str | None:
    """Return the model before the one in use, or the one after it; None if there is none.

    Of a model that was chosen by hand in station.toml nothing is known: the last one of the history stands before it.
    """
    if current not in history:
        return None if forward or not history else history[-1]
    place = history.index(current) + (1 if forward else -1)
    return history[place] if 0 <= place < len(history) else None


def surplus(history: Sequence[str], station: str, in_use: Collection[str]) -> list[str]:
    """Return the models that may be removed: made for this station, older than those kept, in use nowhere, and not the way back."""
    made = [name for name in history if is_made_for(name, station)]
    previous = {neighbour(history, name, forward=False) for name in in_use}
    return [name for name in made[:-KEPT] if name not in in_use and name not in previous]


def name_for(station: str, revision: str) -> str:
    """Return the folder's name of a model that was made for a station."""
    return f"{station}-{revision}"


def is_made_for(name: str, station: str) -> bool:
    """Tell whether a model was made for a station: others, shipped ones too, are never removed."""
    return re.fullmatch(rf"{re.escape(station)}-[0-9a-f]{{12}}", name) is not None
