"""What a check finds: one line each, and what it was told to look at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from inspector.errors import InspectorError
from inspector.settings import StationSettings

State: TypeAlias = Literal["ok", "note", "FAULT"]


@dataclass(frozen=True, slots=True)
class Found:
    """One line of a check's outcome."""

    state: State
    """``ok``; ``note``: works, but look at it; ``FAULT``: the station cannot work so."""
    text: str
    """What was found and what to do."""
    check: str = ""
    """Name of the check; set by the runner."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The station under test."""

    root: Path
    """Folder that holds calibration/ and models/."""
    folder: Path
    """The station's folder."""
    settings: StationSettings
    """Its settings; sections that are wrong hold their defaults."""
    broken: frozenset[str] = frozenset()
    """Keys of the sections that are wrong, such as ``mqtt`` or ``cameras.line``."""

    @property
    def model_folder(self) -> Path:
        """Where the station's checkpoint lies."""
        return self.root / "models" / self.settings.model.checkpoint


@dataclass(frozen=True, slots=True)
class Check:
    """A test of one part of a station."""

    name: str
    """Its name in the output."""
    needs: tuple[str, ...]
    """Sections that must be right for it to mean anything."""
    look: Callable[[Subject], Iterator[Found]]
    """The test. An ``InspectorError`` that it raises becomes a FAULT."""


def fault(text: str) -> Found:
    """Return a FAULT."""
    return Found("FAULT", text)


def note(text: str) -> Found:
    """Return a note."""
    return Found("note", text)


def ok(text: str) -> Found:
    """Return an ok."""
    return Found("ok", text)


def error_lines(error: InspectorError) -> list[str]:
    """Return one line for each mistake in an error; a list of mistakes gets its heading's file name on each."""
    first, *rest = str(error).splitlines() or [type(error).__name__]
    if rest and all(line.startswith("  - ") for line in rest):
        source = first.rpartition(": ")[0]
        return [f"{source}: {line[4:]}" for line in rest]
    return [first, *rest]
