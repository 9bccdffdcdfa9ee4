"""Which checkpoint a station uses: ``model.checkpoint`` in station.toml, changed in one step; everything else stays letter for letter."""

from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from inspector.errors import SettingsError
from inspector.settings.station import FILE, parse_station, read_station
from inspector.settings.table_file import replace_text


def choose_model(folder: Path, checkpoint: str) -> None:
    """Let a station use another checkpoint from its next start on. Raises ``SettingsError``, and then nothing has changed."""
    path, before = folder / FILE, read_station(folder)
    try:
        document = tomlkit.parse(path.read_bytes().decode("utf-8-sig"))
        document.setdefault("model", tomlkit.table())["checkpoint"] = checkpoint
        text = tomlkit.dumps(document)
        after = parse_station(tomlkit.parse(text).unwrap(), folder)
    except (OSError, TOMLKitError, TypeError) as error:
        raise SettingsError(str(path), [f'model.checkpoint: cannot be replaced ({error}); write checkpoint = "{checkpoint}"']) from error
    if after != before.model_copy(update={"model": before.model.model_copy(update={"checkpoint": checkpoint})}):
        raise SettingsError(str(path), [f'model.checkpoint: cannot be replaced alone; write checkpoint = "{checkpoint}" below [model]'])
    try:
        replace_text(path, text)
    except OSError as error:
        raise SettingsError(str(path), [f"cannot be written ({error.strerror}); check the folder's owner and the disk"]) from error
