"""A short run of the course, and that it can fail."""

from pathlib import Path

import pytest
from hypothesis import strategies as st

from tests.malformed.__main__ import knock
from tests.malformed.doors import Door, doors


@pytest.mark.parametrize("name", list(doors()))
def test_a_few_malformed_inputs_at_each_door_are_taken_or_refused(name: str) -> None:
    count = knock(doors()[name], 25, seed_of(name))
    assert count.crashes == []
    assert count.inputs == count.accepted + count.refused >= 25
    assert count.refused or name == "database files", "what is malformed is refused"


def test_a_crash_is_found_and_kept() -> None:
    def take(one: int, _place: Path) -> bool:
        return 1 // (one % 3) >= 0

    count = knock(Door(st.integers(0, 100), take, (ValueError,), 1.0), 50, 1)
    assert count.crashes
    assert all(one % 3 == 0 and "ZeroDivisionError" in told for one, told in count.crashes)


def seed_of(name: str) -> int:
    """Return a number for each door that is the same in every run."""
    return sum(name.encode())
