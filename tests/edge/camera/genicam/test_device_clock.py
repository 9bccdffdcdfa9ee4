"""The camera's clock: ages of frames from two clocks that share no zero."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.edge.camera.genicam.device_clock import DeviceClock

HZ = 1e9


def ages(*pairs: tuple[float, float], hz: float = HZ) -> list[float]:
    """Return the age of frames that were taken and that arrived at these instants, seconds on the camera's clock and on ours."""
    clock = DeviceClock(hz)
    return [round(clock.age_s(round(taken * (hz or 1.0)), arrived), 6) for taken, arrived in pairs]


def test_a_frame_that_took_longer_than_the_fastest_is_so_much_older() -> None:
    assert ages((1.0, 501.0), (2.0, 502.0), (3.0, 505.0))[:2] == [0.0, 0.0]
    assert ages((1.0, 501.0), (2.0, 502.0), (3.0, 505.0))[2] == pytest.approx(2.0, abs=0.001)


def test_a_backlog_is_old_and_the_next_fresh_frame_is_not() -> None:
    first, *backlog, fresh = ages((1.0, 1.0), (1.1, 6.0), (1.2, 6.0), (1.3, 6.0), (6.0, 6.0))
    assert first == fresh == 0.0
    assert all(age > 4.5 for age in backlog)


def test_a_slow_clock_makes_no_frame_old_in_the_long_run() -> None:
    assert max(ages(*((second * (1 - 100e-6), 1000.0 + second) for second in range(1, 200_000, 10)))) < 0.01


def test_a_clock_that_is_set_anew_makes_no_frame_old() -> None:
    assert ages((1.0, 1.0), (5000.0, 2.0), (3.0, 3.0), (4.0, 4.0)) == [0.0, 0.0, 0.0, 0.0]
    assert ages((5000.0, 1.0), (5001.0, 200.0), (5002.0, 201.0)) == [0.0, 0.0, 0.0]


def test_a_camera_without_a_clock_gives_no_ages() -> None:
    assert ages((1.0, 1.0), (1.1, 9.0), hz=0.0) == [0.0, 0.0]
    assert DeviceClock(HZ).age_s(None, 5.0) == 0.0


@given(st.lists(st.tuples(st.floats(0.001, 5.0), st.floats(0.0, 30.0)), min_size=1, max_size=30))
def test_no_age_is_negative_and_none_is_greater_than_the_true_one(steps: list[tuple[float, float]]) -> None:
    clock, taken, arrived = DeviceClock(HZ), 10.0, 1000.0
    for pause, delay in steps:
        taken += pause
        arrived = max(arrived, 1000.0 + taken + delay)
        assert -1e-6 <= clock.age_s(round(taken * HZ), arrived) <= arrived - 1000.0 - taken + 1e-6
