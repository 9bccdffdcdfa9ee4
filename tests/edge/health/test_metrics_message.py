"""Figures on the topic ``metrics``: valid, not kept, in no outbox, and in nobody's way."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from inspector.edge.extras.showcase import Metrics, Showcase
from inspector.edge.health.figures import Sources
from inspector.edge.json_schemas import schema_folder
from inspector.edge.link import Link, LinkRules
from inspector.edge.log import Log
from inspector.edge.messages import metrics_message, result_message
from inspector.edge.outbox import Message
from inspector.edge.topics import Topics
from inspector.settings import CommandsSection, ExtrasSection, MqttSection
from tests.edge.conftest import Mosquitto, Subscriber, wait_until

Make = Callable[..., Sources]


def check(body: Any) -> None:
    schema = json.loads((schema_folder() / "metrics.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(body)


def test_the_message_holds_the_figures_and_is_valid(sources: Make, topics: Topics) -> None:
    message = metrics_message(sources().read(), topics)
    body = json.loads(message.payload)
    check(body)
    assert (message.topic, message.retain) == (topics.metrics, False)
    assert (body["state"], body["model"], body["verdicts"]) == ("running", "inspector-edge@abc", {"pass": 2, "fail": 1, "review": 0})
    assert (body["waiting"], body["capture_to_row_ms"]["p99_ms"]) == (1, 90.0)
    assert (body["cameras"]["top"]["dropped"], body["cameras"]["side"]["last_frame_age_ms"]) == (3, None)


def test_before_the_first_verdict_and_without_a_readable_log_it_is_valid_too(sources: Make, topics: Topics) -> None:
    made = sources()
    made.database.write_bytes(b"no database at all")
    made.tally.last_verdict_at = None
    body = json.loads(metrics_message(made.read(), topics).payload)
    check(body)
    assert (body["waiting"], body["oldest_waiting_at"], body["last_verdict_at"]) == (None, None, None)


def test_figures_go_out_again_and_again_with_qos_0_unretained_and_past_the_outbox(
    broker: Mosquitto, subscribe: Callable[[int, str], Subscriber], topics: Topics, sources: Make, tmp_path: Path
) -> None:
    broker.start()
    heard = subscribe(broker.port, "#")
    made = sources()
    rules = LinkRules(
        MqttSection(port=broker.port),
        CommandsSection(allow=()),
        ExtrasSection(),
        Metrics(0.05, lambda: metrics_message(made.read(), topics)),
    )
    assert rules.is_needed
    link = Link(
        rules,
        topics,
        tmp_path / "log.db",
        message=lambda inspection: result_message(inspection, topics),
        tell=lambda *_: None,
        nudge=lambda: None,
    )
    link.start()
    wait_until(lambda: len(heard.bodies("/metrics")) >= 2)
    link.stop()
    messages = [message for message in heard.messages if message.topic == topics.metrics]
    assert {(message.qos, message.retain) for message in messages} == {(0, False)}
    for message in messages:
        check(json.loads(message.payload))
    late = Subscriber(broker.port, topics.metrics, "latecomer")
    late.close()
    assert late.messages == []
    with Log(tmp_path / "log.db", "cell-3", read_only=True) as log:
        assert log.outbox.depth() == 1, "the message that waited before, and no other"


@pytest.mark.parametrize(("every_s", "expected"), [(0.0, []), (60.0, [0.0, 60.0, 125.0])])
def test_they_are_due_at_once_and_then_every_so_often(every_s: float, expected: list[float]) -> None:
    metrics = Metrics(every_s, lambda: Message("t", b""))
    assert [now_s for now_s in (0.0, 30.0, 59.9, 60.0, 125.0, 130.0) if metrics.due(now_s)] == expected


def test_figures_that_cannot_be_made_are_told_once_and_the_other_outputs_go_on(topics: Topics) -> None:
    told: list[tuple[str, str]] = []
    is_broken = threading.Event()
    is_broken.set()

    def make() -> Message:
        if is_broken.is_set():
            raise OSError("no such file: statm")
        return Message(topics.metrics, b"{}")

    showcase = Showcase(
        ExtrasSection(),
        CommandsSection(),
        topics,
        lambda inspection: result_message(inspection, topics),
        lambda *event: told.append(event),
        Metrics(1e-9, make),
    )
    assert [*showcase.due(), *showcase.due()] == []
    is_broken.clear()
    assert [message.topic for message, qos in showcase.due() if qos == 0] == [topics.metrics]
    assert [kind for kind, _ in told] == ["output-lost", "output-back"]
    assert told[0][1].startswith("health.metrics_every_s: OSError: no such file")
