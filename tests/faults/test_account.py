"""The account counts what a subscriber would miss."""

from hypothesis import given
from hypothesis import strategies as st

from tests.faults.account import Account, account, total

MADE = [(number, f"id-{number}") for number in range(1, 7)]


def test_all_that_was_made_and_arrived_in_order_is_faultless() -> None:
    assert account("x", MADE, MADE) == Account("x", 6, 6, 0, 0, 0, 0, 0, 0, 0)
    assert account("x", MADE, MADE).is_faultless


def test_a_repetition_is_a_double_before_ids_are_removed_and_no_fault() -> None:
    outcome = account("x", MADE, [*MADE[:3], *MADE])
    assert (outcome.doubles_before, outcome.doubles_after, outcome.order_breaks) == (3, 0, 0)
    assert outcome.is_faultless


def test_two_ids_with_one_number_are_a_double_that_ids_do_not_remove() -> None:
    outcome = account("x", [*MADE, (6, "other")], [*MADE, (6, "other")])
    assert outcome.doubles_after == 1
    assert not outcome.is_faultless


def test_what_is_missing_is_lost_and_each_stretch_of_it_is_a_gap() -> None:
    outcome = account("x", MADE, [MADE[0], MADE[3]])
    assert (outcome.arrived, outcome.lost, outcome.gaps) == (2, 4, 2)
    assert not outcome.is_faultless


def test_what_is_not_in_the_log_is_told() -> None:
    outcome = account("x", MADE[:5], MADE)
    assert outcome.unlogged == 1
    assert not outcome.is_faultless


def test_a_verdict_that_comes_after_a_later_one_breaks_the_order_and_a_repetition_does_not() -> None:
    assert account("x", MADE, [MADE[1], MADE[0], *MADE]).order_breaks == 1


def test_a_hole_in_the_log_itself_is_told() -> None:
    holed = [*MADE[:2], *MADE[3:]]
    assert account("x", holed, holed).log_gaps == 1


def test_nothing_made_proves_nothing() -> None:
    assert not account("x", [], []).is_faultless


def test_the_parts_of_a_publisher_are_added() -> None:
    parts = [account("x", MADE, MADE[:5]), account("x", MADE, MADE)]
    assert (total(parts).publisher, total(parts).made, total(parts).lost, total(parts).gaps) == ("x", 12, 1, 1)


@given(st.lists(st.integers(1, 6), max_size=30))
def test_arrived_lost_and_doubles_add_up(numbers: list[int]) -> None:
    outcome = account("x", MADE, [MADE[number - 1] for number in numbers])
    assert outcome.arrived + outcome.lost == outcome.made
    assert outcome.arrived + outcome.doubles_before == len(numbers)
    assert outcome.doubles_after == 0
