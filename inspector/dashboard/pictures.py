"""Kept pictures as the browser gets them: named by their inspection, never by a path, and only from below the log's own folder."""

from pathlib import Path

from inspector.edge.pictures import heat_maps_of

KINDS = ("picture", "unlike", "label")


def picture_file(log: Path, image_path: object, kind: str) -> Path | None:
    """Return the file of a kept picture or heat map, None if there is none or the log names one that lies elsewhere."""
    if not isinstance(image_path, str) or kind not in KINDS:
        return None
    home = (log.parent / "images").resolve()
    kept = log.parent / image_path
    try:
        file = dict(zip(KINDS, (kept, *heat_maps_of(kept)), strict=True))[kind].resolve()
        return file if file.is_relative_to(home) and file.is_file() else None
    except (OSError, ValueError):  # no name of a file
        return None


def kinds_of(log: Path, image_path: object) -> list[str]:
    """Return which pictures there are of an inspection."""
    return [kind for kind in KINDS if picture_file(log, image_path, kind)]
