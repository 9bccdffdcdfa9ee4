import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.cameras.paint import is_whole, painted, read_instant_ms

instants = st.integers(0, 2**40 - 1)


@given(instants)
def test_an_instant_is_read_as_it_was_painted_also_after_jpeg(instant_ms: int) -> None:
    picture = painted(instant_ms, 640, 240)
    assert read_instant_ms(picture) == instant_ms
    data = cv2.imencode(".jpg", picture)[1]
    assert read_instant_ms(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))) == instant_ms


@given(instants, st.integers(1, 47))
def test_a_picture_with_a_row_missing_is_not_whole(instant_ms: int, row: int) -> None:
    picture = np.array(painted(instant_ms, 64, 48))
    assert is_whole(picture)
    picture[row] = 0
    assert not is_whole(picture)
