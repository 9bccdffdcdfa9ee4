"""Replay: everything that the log has, in order, once, and nothing before what is fresh."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from inspector.core.inspection import Inspection
from inspector.edge.commands.doorman import Asker, Request
from inspector.edge.commands.payload import ReplayCommand
from inspector.edge.commands.replay import FreshFirst, Replay, Span, oldest_waiting
from inspector.edge.log import Holdings, Log
from inspector.edge.messages import result_message
from inspector.edge.outbox import Message
from inspector.edge.topics import Topics

Make = Callable[..., Inspection]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with Log(tmp_path / "log.db", "cell-3") as log:
        yield log


class Broker:
    """Takes messages and gives them numbers."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def send(self, message: Message) -> int:
        self.sent.append(message)
        return len(self.sent)


def begin(log: Log, topics: Topics, from_seq: int, to_seq: int | None, batch: int = 4) -> Replay:
    asker = Asker("replay", "mes", topics.reply("replay"))
    request = Request(asker, "replay", ReplayCommand(from_seq=from_seq, to_seq=to_seq), 0)
    return Replay(request, Span.of(log, from_seq, to_seq), lambda inspection: result_message(inspection, topics), batch)


def ids(broker: Broker) -> list[str]:
    return [message.properties["id"] for message in broker.sent]


def test_a_range_is_published_in_order_and_batch_by_batch_and_says_that_it_is_a_replay(
    log: Log, topics: Topics, make_inspection: Make
) -> None:
    rows = [log.append(make_inspection(number)) for number in range(10)]
    broker, replay = Broker(), begin(log, topics, 2, None)
    for _ in range(20):
        replay.step(log, broker.send)
        replay.step(log, broker.send)  # the batch before is not acknowledged: nothing more is sent
        assert len(replay.under_way) <= 4
        for mid in sorted(replay.under_way, reverse=True):  # acknowledgements may come in any order
            replay.answered(mid, None)
    assert ids(broker) == [row.inspection_id for row in rows[1:]]
    assert {message.properties["replayed"] for message in broker.sent} == {"true"}
    assert broker.sent[0].payload == result_message(rows[1], topics).payload
    assert (replay.is_over, replay.sent) == (True, 9)


def test_a_batch_on_a_lost_connection_is_sent_again(log: Log, topics: Topics, make_inspection: Make) -> None:
    rows = [log.append(make_inspection(number)) for number in range(6)]
    broker, replay = Broker(), begin(log, topics, 1, 6)
    replay.step(log, broker.send)
    replay.answered(1, None)
    replay.begin_again()
    replay.answered(2, None)  # an answer of the old connection
    while not replay.is_over:
        replay.step(log, broker.send)
        for mid in list(replay.under_way):
            replay.answered(mid, None)
    assert ids(broker) == [row.inspection_id for row in [*rows[:4], *rows]]
    assert replay.sent == 6


def test_a_refused_replay_is_over(log: Log, topics: Topics, make_inspection: Make) -> None:
    log.append(make_inspection(1))
    broker, replay = Broker(), begin(log, topics, 1, 1)
    replay.step(log, broker.send)
    replay.answered(1, "Not authorized")
    assert (replay.is_over, replay.refusal, replay.sent) == (True, "Not authorized", 0)


def test_the_answer_names_what_is_gone_what_waits_and_what_has_not_been_given_yet(log: Log, topics: Topics, make_inspection: Make) -> None:
    for number in range(1, 11):
        log.append(make_inspection(number), None if number != 9 else lambda inspection: result_message(inspection, topics))
    log._database.conn.execute("DELETE FROM inspections WHERE seq IN (1, 2, 5)")
    assert Span.of(log, 1, 12).holdings == Holdings(7, 1, ((1, 2), (5, 5), (11, 12)))
    assert Span.of(log, 3, 4).holdings == Holdings(2, 0, ())
    assert Span.of(log, 3, None).to_seq == 10
    assert Span.of(log, 50, 60).holdings == Holdings(0, 0, ((50, 60),))
    assert Span.of(log, 50, None).holdings == Holdings(0, 0, ())
    assert [row.seq for row in log.between(1, 12, 100)] == [3, 4, 6, 7, 8, 10]


def test_what_is_fresh_goes_first_unless_it_does_not_move(log: Log, topics: Topics, make_inspection: Make) -> None:
    fresh = FreshFirst()
    assert oldest_waiting(log) is None
    assert fresh.may_go(None, 0.0)
    log.append(make_inspection(1), lambda inspection: result_message(inspection, topics))
    row = oldest_waiting(log)
    assert row is not None
    assert [fresh.may_go(row, at) for at in (1.0, 5.0, 10.9)] == [False, False, False]
    assert fresh.may_go(row, 11.1), "the broker does not take that row: it holds up no replay"
    assert not fresh.may_go(row + 1, 11.2), "the outbox moves again"


def test_a_replayed_message_equals_the_first_one_but_for_the_property(topics: Topics, make_inspection: Make, log: Log) -> None:
    first: list[Message] = []

    def message(logged: Inspection) -> Message:
        first.append(result_message(logged, topics))
        return first[0]

    inspection = log.append(make_inspection(3), message)
    log.outbox.close([1])
    broker, replay = Broker(), begin(log, topics, 1, 1)
    replay.step(log, broker.send)
    assert replace(broker.sent[0], properties=first[0].properties) == first[0]
    assert inspection.seq == 1


def test_what_commands_have_set_is_remembered_until_it_is_taken_back(tmp_path: Path) -> None:
    with Log(tmp_path / "log.db", "cell-3") as log:
        log.remember("lot", "L7")
        log.remember("lot", "批次 8")
        log.remember("product", "bracket")
    with Log(tmp_path / "log.db", "cell-3") as log, Log(tmp_path / "log.db", "cell-4") as other:
        assert log.recall() == {"lot": "批次 8", "product": "bracket"}
        assert other.recall() == {}
        log.remember("lot", None)
        assert log.recall() == {"product": "bracket"}
