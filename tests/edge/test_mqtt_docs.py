"""docs/mqtt.md names everything that a subscriber can meet."""

from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from inspector.edge.payload import Defect, EventPayload, FrameRecord, ResultPayload, State, StatusPayload
from inspector.edge.topics import Topics
from inspector.settings import MqttSection

TEXT = (Path(__file__).parents[2] / "docs/mqtt.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("payload", [ResultPayload, StatusPayload, EventPayload, Defect, FrameRecord])
def test_every_field_is_documented(payload: type[BaseModel]) -> None:
    assert [name for name, field in payload.model_fields.items() if f"`{field.alias or name}`" not in TEXT] == []


def test_every_state_is_documented() -> None:
    assert [state for state in get_args(State) if f"| `{state}` |" not in TEXT] == []


def test_every_topic_is_documented(topics: Topics) -> None:
    used = [topics.result, topics.event, topics.status, topics.info, topics.metrics, topics.command("<verb>")]
    assert [topic for topic in used if f"| `{topic.removeprefix(topics.base + '/')}` |" not in TEXT] == []


def test_the_documented_root_is_the_default() -> None:
    assert f"`mqtt.root` is `{MqttSection().root}`" in TEXT


def test_topics_follow_the_settings_of_the_station() -> None:
    topics = Topics("acme/uns", "plant", "press", "line1", "cell-3")
    assert topics.status == "acme/uns/plant/press/line1/cell-3/status"
    assert topics.place == "plant/press/line1/cell-3"
