"""Which checkpoint a station uses: ``model.checkpoint`` in station.toml, changed in one step; everything else stays letter for letter."""

from pathlib import Path

import tomlkit
from tomlkit import TOMLDocument

from inspector.settings.sections import StationSettings
from inspector.settings.station_change import change_station


def choose_model(folder: Path, checkpoint: str) -> None:
    """Let a station use another checkpoint from its next start on. Raises ``SettingsError``, and then nothing has changed."""

    def change(document: TOMLDocument) -> None:
        document.setdefault("model", tomlkit.table())["checkpoint"] = checkpoint

    def expected(before: StationSettings) -> StationSettings:
        return before.model_copy(update={"model": before.model.model_copy(update={"checkpoint": checkpoint})})

    change_station(folder, "model.checkpoint", change, expected, f'write checkpoint = "{checkpoint}" below [model]')
