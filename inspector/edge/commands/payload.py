"""What stands in commands and in the answers to them. The JSON Schemas in ``inspector/schemas`` are generated from here.

A command is a JSON object; an empty message stands for ``{}``. Unknown keys and wrong types are mistakes, as in the settings: a command
that is half understood is not carried out.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from inspector.edge.payload import Instant, Payload
from inspector.settings import Verb

_LARGEST = 2**53 - 1
"""Largest whole number that every JSON reader understands."""
Text = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
Outcome: TypeAlias = Literal["done", "accepted", "refused", "failed"]


class Command(BaseModel):
    """A command."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    who: Text | None = Field(None, description="Who asks: for the log. It proves nothing; the broker's access list does.")


class TriggerCommand(Command):
    """Take one frame now and answer with its verdict."""

    camera: Text | None = Field(None, description="Name of the camera; may be left out if there is only one.")
    part_id: Text | None = Field(None, description="Serial number of the part in view.")
    lot: Text | None = Field(None, description="Lot of this part alone.")


class PauseCommand(Command):
    """Judge no frames until told to resume."""

    reason: Text | None = Field(None, description="Why, for status and log.")


class ResumeCommand(Command):
    """Judge frames again."""


class ReloadCommand(Command):
    """Read the station's settings and calibration anew."""


class ReplayCommand(Command):
    """Publish logged results again."""

    from_seq: int = Field(ge=1, le=_LARGEST, description="First number.")
    to_seq: int | None = Field(None, ge=1, le=_LARGEST, description="Last number; left out: up to the newest.")

    @model_validator(mode="after")
    def _is_range(self) -> Self:
        if self.to_seq is not None and self.to_seq < self.from_seq:
            raise ValueError(f"to_seq {self.to_seq} is less than from_seq {self.from_seq}")
        return self


class SnapshotCommand(Command):
    """Publish the newest judged frame with its verdict drawn in."""

    camera: Text | None = Field(None, description="Name of the camera; left out: the one that delivered last.")


class LotCommand(Command):
    """Set the lot of frames that name none."""

    lot: Text | None = Field(description="The lot; null: none.")


class ProductCommand(Command):
    """Set the product of frames that name none."""

    product: Text | None = Field(description="One of the station's products; null: the one of the settings.")


class ReplyPayload(Payload):
    """The answer to a command. Topic: the command's response topic, else reply/<verb>."""

    schema_id: Literal["inspector.reply/1"] = Field("inspector.reply/1", alias="schema", description="Names this schema.")
    station: str = Field(description="Name of the station.")
    verb: str = Field(description="The command that is answered.")
    outcome: Outcome = Field(
        description="done: it is. accepted: it began, another answer follows. refused: nothing was done. failed: it was tried in vain."
    )
    reason: str = Field(description="Why, in words; empty if all is well.")
    mistakes: list[str] = Field(default_factory=list, description="Each mistake in the command or in the settings that were read.")
    result: dict[str, Any] = Field(default_factory=dict, description="What came of it; the fields depend on the verb: docs/mqtt.md.")
    replied_at: Instant = Field(description="When this was said.")


def command_models() -> Mapping[Verb, type[Command]]:
    """Return the model of each command."""
    return {
        "trigger": TriggerCommand,
        "pause": PauseCommand,
        "resume": ResumeCommand,
        "reload": ReloadCommand,
        "replay": ReplayCommand,
        "snapshot": SnapshotCommand,
        "lot": LotCommand,
        "product": ProductCommand,
    }
