"""The doorman: what may come in does, and everything else is refused with a reason, whatever is sent."""

import json
from typing import Any, get_args

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.edge.commands.doorman import Doorman, Refusal, Request
from inspector.edge.commands.payload import ReplayCommand, command_models
from inspector.edge.incoming import Incoming
from inspector.edge.json_schemas import schema_files
from inspector.edge.topics import Topics
from inspector.settings import CommandsSection, Verb

TOPICS = Topics("inspector/v1", "plant", "press", "line1", "cell-3")
EVERY = CommandsSection(allow=get_args(Verb), burst=100)
GOOD: dict[str, Any] = {
    "trigger": {"camera": "top", "part_id": "SN 7"},
    "pause": {"reason": "cleaning"},
    "resume": {},
    "reload": {"who": "shift lead"},
    "replay": {"from_seq": 3, "to_seq": 9},
    "snapshot": {"camera": None},
    "lot": {"lot": "批次 7"},
    "product": {"product": None},
}


def ask(verb: str, payload: bytes | object = b"", **changes: Any) -> Incoming:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Incoming(TOPICS.command(verb), body, **changes)


def refused(found: Request | Refusal | None) -> Refusal:
    assert isinstance(found, Refusal)
    return found


@pytest.mark.parametrize("verb", sorted(command_models()))
def test_every_command_is_let_in_as_its_schema_says(verb: str) -> None:
    jsonschema.Draft202012Validator(json.loads(schema_files()[f"cmd-{verb}.schema.json"])).validate(GOOD[verb])
    found = Doorman(TOPICS, EVERY).look(ask(verb, GOOD[verb]), 5)
    assert isinstance(found, Request)
    assert (found.verb, found.arrived_ns) == (verb, 5)
    assert found.asker.reply_topic == TOPICS.reply(verb)


def test_an_empty_message_stands_for_an_empty_object() -> None:
    assert isinstance(Doorman(TOPICS, EVERY).look(ask("pause"), 0), Request)


@pytest.mark.parametrize(
    ("verb", "payload", "mistake"),
    [
        ("replay", b"", "from_seq: Field required"),
        ("replay", {"from_seq": "3"}, "from_seq: Input should be a valid integer"),
        ("replay", {"from_seq": 0}, "greater than or equal to 1"),
        ("replay", {"from_seq": 2**60}, "less than or equal to"),
        ("replay", {"from_seq": 9, "to_seq": 3}, "to_seq 3 is less than from_seq 9"),
        ("replay", {"from_seq": 1, "fast": True}, "fast: Extra inputs are not permitted"),
        ("lot", {}, "lot: Field required"),
        ("lot", {"lot": "a\nb"}, "String should match pattern"),
        ("lot", {"lot": "x" * 65}, "at most 64"),
        ("pause", b"[]", "Input should be an object"),
        ("pause", b"{", "Invalid JSON"),
        ("pause", b"\xff\xfe", "Invalid JSON"),
        ("pause", b"[" * 4000, "Invalid JSON"),
    ],
)
def test_a_malformed_command_is_refused_with_its_mistakes(verb: str, payload: Any, mistake: str) -> None:
    found = refused(Doorman(TOPICS, EVERY).look(ask(verb, payload), 0))
    assert mistake in "".join(found.mistakes)
    assert f"cmd-{verb}.schema.json" in found.reason


def test_what_is_unknown_not_allowed_kept_or_too_long_is_refused() -> None:
    doorman = Doorman(TOPICS, CommandsSection())
    assert "there is no such command" in refused(doorman.look(ask("stop-the-line"), 0)).reason
    assert "not allowed at this station" in refused(doorman.look(ask("trigger"), 0)).reason
    assert "retain" in refused(doorman.look(ask("replay", {"from_seq": 1}, retain=True), 0)).reason
    assert "too long" in refused(doorman.look(ask("replay", b" " * 5000), 0)).reason


@pytest.mark.parametrize(
    "topic",
    [
        "inspector/v1/plant/press/line1/cell-3/result",
        "inspector/v1/plant/press/line1/cell-4/cmd/trigger",
        "inspector/v1",
        "$SYS/x",
        "a/+/b",
    ],
)
def test_no_answer_goes_where_another_message_is_expected(topic: str) -> None:
    found = refused(Doorman(TOPICS, EVERY).look(ask("resume", response_topic=topic, correlation=b"7"), 0))
    assert "response topic" in found.reason
    assert found.asker.reply_topic == TOPICS.reply("resume")


@pytest.mark.parametrize("topic", [TOPICS.reply("mes-1"), "mes/answers", "inspector/v10/x"])
def test_an_answer_goes_where_the_asker_wants_it(topic: str) -> None:
    found = Doorman(TOPICS, EVERY).look(ask("resume", response_topic=topic, correlation=b"\x00\xff"), 0)
    assert isinstance(found, Request)
    assert (found.asker.reply_topic, found.asker.correlation) == (topic, b"\x00\xff")


def test_who_asks_is_taken_from_the_property_else_from_the_payload_and_fits_on_a_line() -> None:
    doorman = Doorman(TOPICS, EVERY)
    askers = [
        ask("resume", {"who": "mes-1"}),
        ask("resume", {"who": "mes-1"}, properties={"who": "line 2\nforged entry"}),
        ask("resume", b'{"who": "\\ud800"}'),
        ask("resume"),
    ]
    found = [doorman.look(message, 0) for message in askers]
    assert [entry.asker.who for entry in found if entry is not None] == ["mes-1", "line 2?forged entry", "?", "unnamed"]


def test_a_flood_is_answered_once_and_counted_and_other_commands_still_come_in() -> None:
    doorman = Doorman(TOPICS, CommandsSection(allow=("pause", "resume"), burst=3, per_minute=60.0))
    found = [doorman.look(ask("pause"), 0) for _ in range(50)]
    assert [type(entry) for entry in found[:4]] == [Request, Request, Request, Refusal]
    assert "too many" in refused(found[3]).reason
    assert found[4:] == [None] * 46
    assert isinstance(doorman.look(ask("resume"), 0), Request)
    assert isinstance(doorman.look(ask("pause"), 1_100_000_000), Request), "one a second comes in again"
    assert doorman.calmed(30.0) == []
    assert doorman.calmed(61.0) == ["pause: 47 commands were refused because they came too often"]
    assert doorman.calmed(61.0) == []


def test_unknown_verbs_share_one_allowance() -> None:
    doorman = Doorman(TOPICS, CommandsSection(burst=2))
    found = [doorman.look(ask(f"verb-{number}"), 0) for number in range(100)]
    assert sum(entry is not None for entry in found) == 3
    assert len(doorman.buckets) == 1


@given(st.text(max_size=20), st.binary(max_size=200), st.booleans(), st.one_of(st.none(), st.text(max_size=40)))
def test_whatever_is_sent_is_a_request_or_a_refusal(verb: str, payload: bytes, retain: bool, response_topic: str | None) -> None:
    message = Incoming(TOPICS.base + "/cmd/" + verb, payload, retain, response_topic, payload)
    found = Doorman(TOPICS, EVERY).look(message, 0)
    assert isinstance(found, Request | Refusal)
    assert found.asker.who.isprintable()


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_whatever_json_is_sent_a_replay_has_whole_numbers_or_is_refused(body: Any) -> None:
    found = Doorman(TOPICS, EVERY).look(ask("replay", {"from_seq": body}), 0)
    if isinstance(found, Request):
        assert isinstance(found.command, ReplayCommand)
        assert found.command.from_seq == body
