from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from inspector.core.frame import Frame
from inspector.core.in_view import InView

PICTURE = np.zeros((2, 2, 3), np.uint8)


def frame(grabbed_ns: int, **changes: str) -> Frame:
    return replace(Frame("s1", "line", "f1", datetime.now(UTC), grabbed_ns, PICTURE), **changes)  # type: ignore[arg-type]


def test_a_frame_gets_the_lot_that_held_when_it_was_taken() -> None:
    view = InView(lot="L1").changed(100, lot="L2").changed(200, lot="L3")
    assert [view.applied(frame(at)).lot for at in (150, 199, 200, 999)] == ["L2", "L2", "L3", "L3"]


def test_a_frame_keeps_what_it_names_itself() -> None:
    view = InView(product="screw", lot="L1")
    named = view.applied(frame(5, product="strip"))
    assert (named.product, named.lot) == ("strip", "L1")
    whole = frame(5, product="strip", lot="L9")
    assert view.applied(whole) is whole


def test_what_was_in_view_long_ago_is_forgotten() -> None:
    view = InView()
    for number in range(1000):
        view = view.changed(number, lot=f"L{number}")
    depth, place = 0, view.before
    while place is not None:
        depth, place = depth + 1, place.before
    assert depth <= 2
