"""A recipe: everything that shapes a checkpoint, in one TOML file beside it. The same recipe and data give the same training."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from inspector.core.label import LabelSet
from inspector.errors import CheckpointError
from inspector.training.dataset import Augmentation


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProductRecipe(_Strict):
    """One product to learn."""

    description: str = Field(description="The product in a few words, as the model reads it.")
    labels: tuple[str, ...] = Field(min_length=2, description="Label names.")
    good: str | None = Field(None, description='The label that means "no defect".')
    data: str = Field(description="Folder with the pictures, below the folder given on the command line.")
    history: Literal["positions", "lots", "times", "labels"] = Field(
        description="Where reports come from. positions, times: known time stamps, earlier pictures of the same group; lots, labels:"
        " simulated lots. positions and lots have phrasings of their own (pits, strip), the others speak of any product."
    )
    share: float = Field(0.5, gt=0, le=1, description="Share of the visits that this product gets.")
    flip_x: bool = Field(False, description="Left and right may be exchanged.")
    flip_y: bool = Field(False, description="Top and bottom may be exchanged.")
    turn: bool = Field(False, description="Quarter turns are allowed.")
    crop: float = Field(0.12, ge=0, lt=1, description="Largest share of a side that a crop cuts off.")
    light: float = Field(0.2, ge=0, lt=1, description="Largest relative change of gain and contrast.")

    @field_validator("labels", "good")
    @classmethod
    def _fits_labels(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - two fields of two types
        """Hold both fields against the core's rules; each names its own mistakes."""
        labels = value if info.field_name == "labels" else info.data.get("labels")
        whole = LabelSet(labels or (), None if info.field_name == "labels" else value)
        own = [line for line in whole.mistakes() if labels and line.startswith((f"{info.field_name}:", f"{info.field_name}["))]
        if own:
            raise ValueError("; ".join(own))
        return value

    def label_set(self) -> LabelSet:
        """Return the labels as the core knows them."""
        return LabelSet(self.labels, self.good)

    def augmentation(self) -> Augmentation:
        """Return how the pictures may be varied."""
        return Augmentation(self.flip_x, self.flip_y, self.crop, self.light, self.turn)

    @property
    def has_times(self) -> bool:
        """True if reports are those of earlier pictures of the same group."""
        return self.history in {"positions", "times"}


class Recipe(_Strict):
    """All of recipe.toml."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="Name of the checkpoint; files are named after it.")
    seed: int = Field(0, description="Seed of everything random.")
    image_px: Annotated[int, Field(ge=64, multiple_of=64)] = Field(256, description="Side of the picture that the tower reads.")
    layers: int = Field(6, ge=1, le=30, description="Layers of the language model.")
    merges: int = Field(8000, ge=1000, description="BPE merges that are kept.")
    copies: int = Field(8, ge=1, description="Varied copies of each picture.")
    steps: int = Field(600, ge=1, description="Optimiser steps at most.")
    limit_s: float = Field(float("inf"), gt=0, description="Seconds of training at most; the learning rate falls to its end by then.")
    deep: bool = Field(False, description="The whole vision tower learns, not its upper blocks alone.")
    half: bool = Field(False, description="Matrix products in bfloat16, where the processor is faster in it.")
    even_groups: bool = Field(
        False,
        description="A picture is drawn by label, then by group (with the root of its size): a part seen often is not learnt by heart.",
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the trunk's channels that are left out at random while learning.")
    mixing: float = Field(
        0.0, ge=0, description="Parameter of the Beta distribution by which a taught model sees pictures mixed; 0: never."
    )
    visits: int = Field(4, ge=1, description="Visits in one step.")
    visit_size: int = Field(6, ge=1, description="Pictures in one visit.")
    learning_rate: float = Field(
        1e-4, gt=0, description="Peak rate of language model and upper tower; merger and projector get 3 times it."
    )
    weight_decay: float = Field(0.05, ge=0, description="AdamW's decoupled weight decay.")
    smoothing: float = Field(0.02, ge=0, lt=0.5, description="Label smoothing.")
    averaging: float = Field(0.99, ge=0, lt=1, description="Decay of the running average of weights that is exported.")
    max_reports: int = Field(4, ge=0, description="Most reports in a prompt.")
    blind_start: float = Field(0.15, ge=0, lt=1, description="Share of the steps, first, that teach the projector from reports alone.")
    blind: float = Field(0.1, ge=0, lt=1, description="Share of later visits without pictures.")
    without_reports: float = Field(0.25, ge=0, lt=1, description="Share of visits without reports.")
    swapped_reports: float = Field(0.2, ge=0, lt=1, validate_default=True, description="Share of visits with another lot's reports.")
    foreign_reports: float = Field(
        0.0, ge=0, le=1, description="Share of visits with one or two notes about other machines among their reports, or alone."
    )
    products: dict[str, ProductRecipe] = Field(min_length=1, description="The products.")

    @field_validator("swapped_reports")
    @classmethod
    def _leaves_room(cls, value: float, info: ValidationInfo) -> float:
        if value + info.data.get("without_reports", 0.0) >= 1.0:
            raise ValueError("without_reports and swapped_reports together must be below 1: some visits need their true reports")
        return value


def read_recipe(path: Path) -> Recipe:
    """Read a recipe. Raises ``CheckpointError`` with every mistake."""
    try:
        return Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such recipe") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read as TOML: {error}") from error
    except ValidationError as error:
        lines = [f"  - {'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise CheckpointError("\n".join([f"{path}: {len(lines)} mistake(s)", *lines])) from None
