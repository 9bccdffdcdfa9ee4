"""What every section of the settings is made of: the base class and the checked types of its keys."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _openable(path: Path) -> Path:
    if "\0" in str(path):
        raise ValueError("a path may not hold the character NUL")
    return path


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
# Strict typing would refuse TOML's text for a path and TOML's list for a tuple, so these three are told to convert.
File = Annotated[Path, Field(strict=False), AfterValidator(_openable)]
Texts = Annotated[tuple[str, ...], Field(strict=False)]
Span = Annotated[tuple[float, float], Field(strict=False)]


class Section(BaseModel):
    """A part of the settings. Unknown keys and wrong types are mistakes; values never change after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
