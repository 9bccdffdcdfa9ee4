"""Review slips: how a person's judgement comes from the dashboard to the daemon, which alone writes the log.

The dashboard drops one JSON file a review into a folder that it alone may write and the daemon may read: the file's owner is the proof of
where it comes from. It is there, synced, before the page says so. The daemon takes it when it runs, with or without a broker, and logs a
``review_id`` once however often it meets it; the dashboard removes a slip whose review it finds in the log.
"""

import os
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inspector.core.review import Review
from inspector.edge.instants import from_text, to_text
from inspector.errors import LogError
from inspector.settings import Name

LONGEST_BYTES = 8192
"""No slip needs more."""
LONGEST_NOTE = 500
"""Letters of a sentence."""
_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_INSTANT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$"
_Pixel = Annotated[int, Field(ge=0, le=1_000_000)]


class Slip(BaseModel):
    """The file's content."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    review_id: str = Field(pattern=_UUID)
    station: Name
    inspection_id: str = Field(pattern=_UUID)
    reviewer: Name
    reviewed_at: str = Field(pattern=_INSTANT)
    label: str | None = Field(min_length=1, max_length=200)
    note: str = Field(max_length=LONGEST_NOTE, pattern=r"^[^\x00-\x1f\x7f]*$")
    box_px: tuple[_Pixel, _Pixel, _Pixel, _Pixel] | None

    @classmethod
    def of(cls, review: Review) -> Self:
        """Return the slip of a review. Raises ``ValueError`` (pydantic's) if it would not be taken."""
        fields = {name: getattr(review, name) for name in cls.model_fields}
        return cls(**(fields | {"reviewed_at": to_text(review.reviewed_at)}))

    def to_review(self) -> Review:
        """Return the review."""
        return Review(**(self.model_dump() | {"reviewed_at": from_text(self.reviewed_at)}))


def slip_folder(log: Path, station: str) -> Path:
    """Return where the slips of a station lie."""
    return log.parent / "reviews" / station


def drop(folder: Path, review: Review) -> None:
    """Write a slip: it is whole and on the disk, or not there. Raises ``LogError``."""
    target, part = folder / f"{review.review_id}.json", folder / f".{review.review_id}.new"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8") as file:
            file.write(Slip.of(review).model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise LogError(
            f"{target}: the review cannot be kept: {error.strerror}; the dashboard's user must own {folder.parent} (docs/dashboard.md)"
        ) from error


def waiting(folder: Path, but_for: Collection[str] = ()) -> list[str]:
    """Return the names of slips, oldest name first; an absent folder holds none."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return []
    return sorted(name for name in names if name.endswith(".json") and not name.startswith(".") and name not in but_for)


def read_slip(path: Path) -> Review:
    """Read a slip that anybody may have written. Raises ``LogError`` with what is wrong with it."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode) or found.st_size > LONGEST_BYTES:
                raise LogError(f"{path}: a review is a plain file of at most {LONGEST_BYTES} bytes")
            text = os.read(handle, LONGEST_BYTES)
        finally:
            os.close(handle)
        review = Slip.model_validate_json(text).to_review()
    except OSError as error:
        raise LogError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        mistakes = "; ".join(f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors()[:4])
        raise LogError(f"{path}: is no review: {mistakes}") from error
    except ValueError as error:  # an instant that does not exist
        raise LogError(f"{path}: is no review: {error}") from error
    if path.name != f"{review.review_id}.json":
        raise LogError(f"{path}: bears another review's name")
    return review
