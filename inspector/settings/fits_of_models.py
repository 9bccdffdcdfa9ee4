"""What was fitted with each model that a station has used comes back with it: ``calibration/<station>/fits/<checkpoint>/``.

Thresholds and normality belong to the model that they were fitted with. When a model gives way, decision.toml and normality.toml are kept;
when it returns, so do they. Without a decision.toml of its own a model judges under the one in force, whose promise is then void; a
normality of another model would be refused at the start, so it is taken out of force.
"""

from pathlib import Path
from urllib.parse import quote

from inspector.settings.calibration_files import DECISION_FILE
from inspector.settings.normality_files import NORMALITY_FILE
from inspector.settings.table_file import replace_text, text_of

FOLDER = "fits"


def keep_fits(station: Path, checkpoint: str) -> None:
    """Keep what is in force as that of a checkpoint. Raises ``OSError``."""
    place = _place(station, checkpoint)
    for name in (DECISION_FILE, NORMALITY_FILE):
        if text := text_of(station / name):
            place.mkdir(parents=True, exist_ok=True)
            replace_text(place / name, text)
        else:
            (place / name).unlink(missing_ok=True)


def restore_fits(station: Path, checkpoint: str) -> None:
    """Put in force what was fitted with a checkpoint. Raises ``OSError``."""
    place = _place(station, checkpoint)
    if text := text_of(place / DECISION_FILE):
        replace_text(station / DECISION_FILE, text)
    if text := text_of(place / NORMALITY_FILE):
        replace_text(station / NORMALITY_FILE, text)
    else:
        (station / NORMALITY_FILE).unlink(missing_ok=True)


def _place(station: Path, checkpoint: str) -> Path:
    return station / FOLDER / quote(checkpoint, safe="")
