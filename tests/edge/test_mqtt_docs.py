"""docs/mqtt.md names everything that a subscriber can meet."""

from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from inspector.edge.commands.payload import Command, ReplyPayload, command_models
from inspector.edge.health.payload import CameraFigures, MetricsPayload, Quantiles, Verdicts
from inspector.edge.payload import Defect, EventPayload, FrameRecord, ResultPayload, ReviewPayload, Standing, State, StatusPayload
from inspector.edge.topics import Topics
from inspector.settings import ExtrasSection, MqttSection

PAYLOADS = [
    ResultPayload,
    StatusPayload,
    EventPayload,
    ReviewPayload,
    ReplyPayload,
    Defect,
    FrameRecord,
    Standing,
    MetricsPayload,
    CameraFigures,
    Quantiles,
    Verdicts,
]
TEXT = (Path(__file__).parents[2] / "docs/mqtt.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_every_field_is_documented(payload: type[BaseModel]) -> None:
    assert [name for name, field in payload.model_fields.items() if f"`{field.alias or name}`" not in TEXT] == []


def test_every_state_is_documented() -> None:
    assert [state for state in get_args(State) if f"| `{state}` |" not in TEXT] == []


def test_every_topic_is_documented(topics: Topics) -> None:
    used = [topics.result, topics.event, topics.review, topics.status, topics.info, topics.metrics, topics.last, topics.command("<verb>")]
    used += [topics.reply("<verb>"), topics.image("<inspection_id>")]
    assert [topic for topic in used if f"| `{topic.removeprefix(topics.base + '/')}` |" not in TEXT] == []


@pytest.mark.parametrize(("verb", "command"), command_models().items())
def test_every_command_is_documented_with_its_keys(verb: str, command: type[Command]) -> None:
    keys = ", ".join(f"`{key}`" for key in command.model_fields if key != "who")
    assert f"| `{verb}` | {keys} |".replace("|  |", "| |") in TEXT


def test_every_optional_output_is_documented() -> None:
    outputs = [key for key in ExtrasSection.model_fields if "_" not in key]
    assert [key for key in outputs if f"- **`{key}`**" not in TEXT] == []


def test_the_documented_root_is_the_default() -> None:
    assert f"`mqtt.root` is `{MqttSection().root}`" in TEXT


def test_topics_follow_the_settings_of_the_station() -> None:
    topics = Topics("acme/uns", "plant", "press", "line1", "cell-3")
    assert topics.status == "acme/uns/plant/press/line1/cell-3/status"
    assert topics.place == "plant/press/line1/cell-3"
