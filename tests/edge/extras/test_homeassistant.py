import json
import re

import pytest

from inspector.edge.extras.homeassistant import discovery_message
from inspector.edge.payload import ResultPayload, StatusPayload
from inspector.edge.topics import Topics
from inspector.settings import ExtrasSection


def test_the_device_is_announced_with_what_home_assistant_asks_for(topics: Topics) -> None:
    message = discovery_message(topics, ExtrasSection(homeassistant=True), ("replay", "pause"))
    body = json.loads(message.payload)
    assert message.retain
    assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]+/config", message.topic)
    assert {"device", "origin", "components", "availability"} <= body.keys()
    ids = [component["unique_id"] for component in body["components"].values()]
    assert len(ids) == len(set(ids))
    assert all("platform" in component for component in body["components"].values())


def test_every_template_reads_a_field_that_the_station_sends(topics: Topics) -> None:
    text = discovery_message(topics, ExtrasSection(homeassistant=True), ()).payload.decode()
    read = set(re.findall(r"value_json\.(\w+)", text))
    assert read <= ResultPayload.model_fields.keys() | StatusPayload.model_fields.keys()


@pytest.mark.parametrize(("last", "topic"), [(True, "last"), (False, "result")])
def test_the_retained_result_is_read_where_there_is_one(topics: Topics, last: bool, topic: str) -> None:
    body = json.loads(discovery_message(topics, ExtrasSection(homeassistant=True, last=last), ()).payload)
    assert body["components"]["evaluation"]["state_topic"] == f"{topics.base}/{topic}"


def test_only_allowed_commands_without_details_have_a_button(topics: Topics) -> None:
    body = json.loads(discovery_message(topics, ExtrasSection(homeassistant=True), ("replay", "pause", "lot")).payload)
    buttons = [key for key, component in body["components"].items() if component["platform"] == "button"]
    assert buttons == ["pause"]
    assert body["components"]["pause"]["command_topic"] == topics.command("pause")
