"""What a station does over MQTT beside its results: the commands that it obeys and the outputs that not every plant wants."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, field_validator

from inspector.settings.base import Section

Verb: TypeAlias = Literal["trigger", "pause", "resume", "reload", "replay", "snapshot", "lot", "product"]


class CommandsSection(Section):
    """Commands over MQTT."""

    # Replay and snapshot tell what is known already; the others change what the station does, so somebody must have said yes to each.
    allow: Annotated[tuple[Verb, ...], Field(strict=False)] = Field(
        ("replay", "snapshot"),
        description="Commands that are obeyed; [] listens to none. Who may send them is the business of the broker's access list.",
    )
    per_minute: float = Field(30.0, gt=0.0, le=600.0, description="Commands of one kind a minute, in the long run; more are refused.")
    burst: int = Field(10, ge=1, le=100, description="Commands of one kind that may come at once.")


class ExtrasSection(Section):
    """Optional outputs over MQTT. They have a connection of their own and never hold up a result."""

    last: bool = Field(False, description="Keep the newest result as a retained message on last.")
    image: Literal["none", "fail", "review", "all"] = Field(
        "none", description='Publish pictures with the verdict drawn in on image/<inspection_id>: "review" is fail and review.'
    )
    image_max_bytes: int = Field(
        200_000, ge=5_000, le=10_000_000, description="Longest picture; larger ones are made smaller until they fit."
    )
    homeassistant: bool = Field(False, description="Announce the station to Home Assistant (MQTT discovery, retained).")
    homeassistant_prefix: str = Field("homeassistant", description="Home Assistant's discovery prefix.")
    sparkplug: bool = Field(False, description="Publish births, data and deaths in Sparkplug B 3.0.")
    sparkplug_group: str = Field("", max_length=64, description="Sparkplug group; empty: <site>-<area>. The edge node is <line>-<station>.")

    @field_validator("homeassistant_prefix")
    @classmethod
    def _is_topic(cls, value: str) -> str:
        if any(sign in value for sign in "+#$\0") or "" in value.split("/"):
            raise ValueError(f'"{value}" may not be empty, hold + # $ or an empty level, or begin or end with a slash')
        return value

    @field_validator("sparkplug_group")
    @classmethod
    def _is_level(cls, value: str) -> str:
        if any(sign in value for sign in "+#$/\0"):
            raise ValueError(f'"{value}" may not hold + # $ or a slash: it is one level of a topic')
        return value

    @property
    def is_on(self) -> bool:
        """True if any of them is wanted."""
        return self.last or self.image != "none" or self.homeassistant or self.sparkplug
