"""The thresholds of each model that a station has used: they come back with it. ``calibration/<station>/decisions/<checkpoint>.toml``.

Thresholds belong to the model that they were fitted with. When a model gives way, its decision.toml is kept beside; when it returns, so
do they.
"""

from pathlib import Path
from urllib.parse import quote

from inspector.settings.calibration_files import DECISION_FILE
from inspector.settings.table_file import replace_text, text_of

FOLDER = "decisions"


def keep_decisions(station: Path, checkpoint: str) -> None:
    """Keep the thresholds in force as those of a checkpoint. Raises ``OSError``."""
    if text := text_of(station / DECISION_FILE):
        (station / FOLDER).mkdir(exist_ok=True)
        replace_text(_place(station, checkpoint), text)


def restore_decisions(station: Path, checkpoint: str) -> bool:
    """Put the thresholds of a checkpoint in force; return False, and leave those in force, if none were kept. Raises ``OSError``."""
    text = text_of(_place(station, checkpoint))
    if text:
        replace_text(station / DECISION_FILE, text)
    return bool(text)


def _place(station: Path, checkpoint: str) -> Path:
    return station / FOLDER / f"{quote(checkpoint, safe='')}.toml"
