from hypothesis import given
from hypothesis import strategies as st

from inspector.core.histogram import SECONDS, Histogram


def test_a_value_counts_at_its_bound_and_above_it() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        histogram.add(value)
    spread = histogram.read()
    assert (spread.bounds, spread.cumulative, spread.total) == ((1.0, 2.0), (2, 3, 4), 12.0)


@given(st.lists(st.floats(0.0, 100.0)))
def test_counts_rise_with_the_bounds_and_the_last_one_holds_every_value(values: list[float]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    cumulative = histogram.read().cumulative
    assert list(cumulative) == sorted(cumulative)
    assert cumulative[-1] == len(values)
    assert list(cumulative[:-1]) == [sum(value <= bound for value in values) for bound in SECONDS]
