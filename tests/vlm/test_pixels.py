"""The square that the vision tower reads."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.vlm.pixels import squared


@pytest.mark.parametrize(("height", "width", "way"), [(1080, 1920, cv2.INTER_AREA), (16, 400, cv2.INTER_AREA), (40, 50, cv2.INTER_LINEAR)])
def test_a_picture_is_averaged_where_it_shrinks_and_interpolated_where_it_grows(height: int, width: int, way: int) -> None:
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    assert np.array_equal(squared(image, 64), cv2.resize(image, (64, 64), interpolation=way))


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 255))
def test_a_plain_picture_of_any_size_stays_plain(height: int, width: int, level: int) -> None:
    found = squared(np.full((height, width, 3), level, np.uint8), 16)
    assert found.shape == (16, 16, 3)
    assert (found == level).all()
