from hypothesis import given
from hypothesis import strategies as st

from inspector.edge.flight import Flight, Refusals
from inspector.edge.outbox import Message, OutboxRow


def row(number: int) -> OutboxRow:
    return OutboxRow(number, Message("t", b""))


def test_an_answer_makes_room_and_names_its_row() -> None:
    flight = Flight(window=2, ack_timeout_s=10)
    flight.sent(11, 0.0, row(1))
    flight.sent(12, 0.0, row(2))
    assert flight.room == 0
    assert flight.answered(12) == row(2)
    assert flight.room == 1
    assert flight.answered(12) is None


def test_messages_beside_the_outbox_take_no_room_but_are_waited_for() -> None:
    flight = Flight(window=1, ack_timeout_s=10)
    flight.sent(5, 0.0)
    assert flight.room == 1
    assert not flight.is_overdue(10.0)
    assert flight.is_overdue(10.1)
    assert flight.answered(5) is None
    assert not flight.is_overdue(99.0)


def test_the_oldest_message_decides_whether_the_broker_is_silent() -> None:
    flight = Flight(window=9, ack_timeout_s=10)
    flight.sent(1, 0.0, row(1))
    flight.sent(2, 9.0, row(2))
    assert flight.is_overdue(10.5)


def test_a_refusal_is_new_once_and_its_end_is_told_once() -> None:
    refusals = Refusals()
    assert [refusals.refused("a", 0.0), refusals.refused("a", 0.1), refusals.refused("a", 5.0)] == [True, False, False]
    assert [refusals.accepted("a"), refusals.accepted("a")] == [True, False]
    assert refusals.refused("a", 9.0)


def test_tries_on_a_refused_topic_become_rarer_up_to_a_limit() -> None:
    refusals, now, waits = Refusals(first_s=1, longest_s=60), 0.0, []
    for _ in range(9):
        refusals.refused("a", now)
        due, wait = refusals.waits["a"]
        assert refusals.due(due) == ["a"]
        assert refusals.due(due - 0.01) == []
        waits.append(wait)
        now = due
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.floats(0, 100)), max_size=40))
def test_a_topic_is_held_back_exactly_while_its_last_answer_was_a_refusal(answers: list[tuple[str, bool, float]]) -> None:
    refusals, last = Refusals(), {}
    for topic, is_refused, now in answers:
        if is_refused:
            refusals.refused(topic, now)
        else:
            refusals.accepted(topic)
        last[topic] = is_refused
    assert refusals.topics == {topic for topic, is_refused in last.items() if is_refused}
