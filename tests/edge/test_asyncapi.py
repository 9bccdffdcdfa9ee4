"""inspector/schemas/asyncapi.json: valid AsyncAPI 3.0, and true of what the daemon sends and hears."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from inspector.edge.asyncapi import channels, document
from inspector.edge.commands.payload import command_models
from inspector.edge.json_schemas import asyncapi_text, schema_folder
from inspector.edge.log import Event
from inspector.edge.messages import event_message, result_message
from inspector.edge.publishing import open_publisher
from inspector.edge.topics import Topics
from inspector.settings import MqttSection, StationSettings, parse_station
from tests.edge.conftest import MakeInspection, Mosquitto, Subscriber, wait_until

SPECIFICATION = Path(__file__).parents[1] / "asyncapi" / "3.0.0.json.gz"
TABLE = re.findall(
    r"^\| `([^`]+)` \| (yes|no) \| ([01]) \|", (Path(__file__).parents[2] / "docs/mqtt.md").read_text(encoding="utf-8"), re.MULTILINE
)


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in ([inner] if key == "$ref" else references(inner))]
    return [found for inner in value for found in references(inner)] if isinstance(value, list) else []


def test_the_shipped_document_is_that_of_the_code() -> None:
    shipped = (schema_folder() / "asyncapi.json").read_text(encoding="utf-8")
    assert shipped == asyncapi_text(), "run: python -m inspector.edge.json_schemas"


def test_the_document_is_valid_asyncapi() -> None:
    specification = json.loads(gzip.decompress(SPECIFICATION.read_bytes()))
    validator = jsonschema.Draft7Validator(specification)
    assert [error.message for error in validator.iter_errors(document())] == []
    broken = document() | {"channels": {"result": {"adress": "a"}}}
    assert not validator.is_valid(broken)


def test_every_reference_leads_somewhere() -> None:
    found = references(document())
    assert "./result.schema.json" in found
    for reference in found:
        if reference.startswith("./"):
            assert (schema_folder() / reference).is_file(), reference
        else:
            place: Any = document()
            for step in reference.removeprefix("#/").split("/"):
                place = place[step]


def test_topics_retention_and_quality_are_those_of_the_documentation() -> None:
    told = {topic: (kept == "yes", int(qos)) for topic, kept, qos in TABLE}
    base = Topics("{root}", "{site}", "{area}", "{line}", "{station}").base + "/"
    mine = {re.sub(r"\{(\w+)\}", r"<\1>", c.address.removeprefix(base)): (c.is_retained, int(c.qos)) for c in channels().values()}
    assert mine | {"cmd/<verb>": (False, 0)} == told


def test_every_command_is_heard_and_answered() -> None:
    operations = document()["operations"]
    heard = {name.removeprefix("cmd-"): one for name, one in operations.items() if one["action"] == "receive"}
    assert heard.keys() == command_models().keys()
    assert all(one["reply"]["channel"] == {"$ref": "#/channels/reply"} for one in heard.values())


def test_the_defaults_of_the_levels_are_those_of_the_settings() -> None:
    parameters = document()["channels"]["result"]["parameters"]
    table = {"products": {"a": {"labels": ["x", "y"]}}, "cameras": {"c": {"kind": "folder", "path": "f"}}}
    settings = parse_station(table, Path("calibration/s"))
    place = settings.station
    wanted = {"root": MqttSection().root, "site": place.site, "area": place.area, "line": place.line}
    assert {level: parameters[level]["default"] for level in wanted} == wanted
    assert document()["servers"]["broker"]["bindings"]["mqtt"]["keepAlive"] == MqttSection().keepalive_s


def test_the_headers_are_those_of_the_messages(make_inspection: MakeInspection, topics: Topics) -> None:
    inspection = make_inspection()
    event = Event(1, inspection.inspected_at, "cell-3", "camera-lost", "top")
    for message in (result_message(inspection, topics), event_message(event, topics)):
        jsonschema.validate(dict(message.properties), document()["channels"]["result"]["messages"]["result"]["headers"])


def test_the_info_and_status_that_a_broker_keeps_fit_the_document(
    broker: Mosquitto, subscribe: Callable[[int, str], Subscriber], tmp_path: Path, station: Callable[[int], StationSettings]
) -> None:
    broker.start()
    said: list[str] = []
    with open_publisher(station(broker.port), tmp_path / "log.db", said.append) as publisher:
        assert publisher is not None
        heard = subscribe(broker.port, "#")
        wait_until(lambda: bool(heard.bodies("/info")) and bool(heard.bodies("/status")))
    described = document()["channels"]
    jsonschema.validate(heard.bodies("/info")[0], described["info"]["messages"]["info"]["payload"])
    jsonschema.validate(heard.bodies("/status")[0], json.loads((schema_folder() / "status.schema.json").read_text(encoding="utf-8")))
    assert {message.topic for message in heard.messages} <= {
        channel["address"].format(root="inspector/v1", site="site", area="area", line="line", station="s1", inspection_id="", verb="")
        for channel in described.values()
    }


@pytest.fixture
def station() -> Callable[[int], StationSettings]:
    def settings(port: int) -> StationSettings:
        table = {"products": {"a": {"labels": ["x", "y"]}}, "cameras": {"c": {"kind": "folder", "path": "f"}}, "mqtt": {"port": port}}
        return parse_station(table, Path("calibration/s1"))

    return settings
