import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import jsonschema
import pytest

from inspector.core.inspection import Finding, Inspection, Verdict
from inspector.core.label import LabelSet
from inspector.edge.json_schemas import schema_files, schema_folder
from inspector.edge.log import Event
from inspector.edge.messages import event_message, result_message
from inspector.edge.payload import ResultPayload, StatusPayload, without_password
from inspector.edge.topics import Topics

Make = Callable[..., Inspection]
LABELS = LabelSet(("good", "scratch", "dent"), "good", severity={"scratch": "critical"})


def body(inspection: Inspection, labels: LabelSet | None = LABELS) -> Any:
    return json.loads(ResultPayload.of(inspection, labels).to_json())


def check(name: str, payload: Any) -> None:
    schema = json.loads((schema_folder() / name).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(payload)


def test_the_shipped_schemas_are_those_of_the_models() -> None:
    shipped = {path.name: path.read_text(encoding="utf-8") for path in schema_folder().glob("*.schema.json")}
    assert shipped == schema_files(), "run: python -m inspector.edge.json_schemas"


@pytest.mark.parametrize("name", sorted(schema_files()))
def test_a_schema_is_valid_and_every_field_has_a_description(name: str) -> None:
    schema = json.loads(schema_files()[name])
    jsonschema.Draft202012Validator.check_schema(schema)
    objects = [schema, *schema.get("$defs", {}).values()]
    assert [field for item in objects for field, rule in item["properties"].items() if "description" not in rule] == []


@pytest.mark.parametrize("disposition", ["pass", "fail", "review"])
def test_every_result_is_valid_against_the_shipped_schema(make_inspection: Make, disposition: str) -> None:
    check("result.schema.json", body(make_inspection(disposition=disposition, seq=7)))
    check("result.schema.json", body(make_inspection(disposition=disposition), None))


def test_a_fault_is_undefined_failed_and_valid_and_never_ok(make_inspection: Make) -> None:
    verdict = Verdict.undecided("camera top: no frame for 2 s", fault=True)
    result = body(make_inspection(verdict=verdict, predictions=(), timings_ms={}, width_px=0, height_px=0, source=None))
    check("result.schema.json", result)
    assert (result["result_state"], result["evaluation"], result["disposition"]) == ("failed", "Undefined", "review")
    assert (result["label"], result["confidence"], result["posterior"]) == (None, None, {})


@pytest.mark.parametrize(("disposition", "evaluation"), [("pass", "OK"), ("fail", "NotOK"), ("review", "NotDecidable")])
def test_dispositions_are_told_in_the_words_of_opc(make_inspection: Make, disposition: str, evaluation: str) -> None:
    assert body(make_inspection(disposition=disposition))["evaluation"] == evaluation


def test_the_posterior_keeps_every_label_and_sums_to_one(make_inspection: Make) -> None:
    (scores,) = body(make_inspection())["posterior"].values()
    assert set(scores) == {"good", "scratch", "dent"}
    assert sum(scores.values()) == pytest.approx(1.0, abs=1e-5)


def test_a_doubtful_good_region_is_no_defect_and_severities_come_from_the_settings(make_inspection: Make) -> None:
    findings = (
        Finding("a", "scratch", 0.9, (0, 0, 5, 5)),
        Finding("b", "good", 0.6, None, "review"),
        Finding("c", "dent", 0.5, None, "review"),
    )
    result = body(make_inspection(verdict=Verdict("fail", findings, "a: scratch 0.90")))
    assert [(d["region"], d["severity"], d["disposition"]) for d in result["defects"]] == [
        ("a", "critical", "fail"),
        ("c", "major", "review"),
    ]
    assert (result["label"], result["confidence"]) == ("scratch", 0.9)


def test_instants_are_utc_with_milliseconds_whatever_zone_they_were_given_in(make_inspection: Make) -> None:
    captured = datetime(2026, 3, 1, 9, 0, 0, 123456, tzinfo=timezone(timedelta(hours=1)))
    assert body(make_inspection(captured_at=captured))["captured_at"] == "2026-03-01T08:00:00.123Z"


def test_an_unlogged_inspection_has_no_number(make_inspection: Make) -> None:
    assert body(make_inspection())["seq"] is None


def test_chinese_stays_readable(make_inspection: Make) -> None:
    assert "甲".encode() in ResultPayload.of(make_inspection()).to_json()


def test_a_cameras_password_is_not_published(make_inspection: Make) -> None:
    assert body(make_inspection(source="rtsp://admin:secret@10.0.0.7:554/live?x=1"))["frame"]["source"] == "rtsp://10.0.0.7:554/live?x=1"
    assert without_password("/frames/a@b.png") == "/frames/a@b.png"
    assert without_password("http://[broken") == "http://[broken"


def test_status_and_event_are_valid_against_their_schemas(topics: Topics) -> None:
    instant = datetime(2026, 3, 1, tzinfo=UTC)
    status = StatusPayload(station="s", state="running", reason="", since=instant, version="1", boot_id="b", seq=0, waiting=3)
    check("status.schema.json", json.loads(status.to_json()))
    event = event_message(Event(4, instant, "s", "camera-lost", "top"), topics)
    check("event.schema.json", json.loads(event.payload))
    assert event.topic == "inspector/v1/plant/press/line1/cell-3/event"


def test_a_result_bears_every_required_cloudevents_attribute(make_inspection: Make, topics: Topics) -> None:
    properties = result_message(make_inspection(part_id="SN-9"), topics, LABELS).properties
    assert {"specversion", "type", "source", "id", "time"} <= set(properties)
    assert properties["subject"] == "SN-9"
