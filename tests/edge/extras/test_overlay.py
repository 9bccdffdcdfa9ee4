from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from inspector.core.inspection import Finding, Inspection, Verdict
from inspector.edge.extras.overlay import jpeg_within, overlay
from tests.station_kit import picture

Make = Callable[..., Inspection]


def noise(height: int, width: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def test_the_verdict_stands_above_the_picture_and_the_region_in_it(make_inspection: Make) -> None:
    image = np.full((240, 320, 3), 128, np.uint8)
    finding = Finding("left", "划伤", 0.93, (40, 60, 100, 80), "fail")
    inspection = replace(make_inspection(disposition="fail"), verdict=Verdict("fail", (finding,), "left: 划伤 0.93"))
    drawn = overlay(image, inspection)
    bar = drawn.shape[0] - 240
    assert bar > 10
    assert drawn.shape[1] == 320
    below = drawn[bar:]
    assert tuple(below[60, 100]) == (40, 40, 220), "the box's upper edge, red"
    assert tuple(below[20, 300]) == (128, 128, 128), "outside the box nothing is touched"
    assert drawn[:bar].std() > 10, "something is written"
    assert image.max() == image.min() == 128, "the frame itself is not changed"


def test_another_verdict_looks_different(make_inspection: Make) -> None:
    image = picture(3)
    pictures = [overlay(image, make_inspection(disposition=kind)) for kind in ("pass", "fail", "review")]
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[1], pictures[2])


def test_a_large_picture_is_made_smaller(make_inspection: Make) -> None:
    assert max(overlay(noise(3000, 4000), make_inspection()).shape[:2]) < 1800


@pytest.mark.parametrize("limit", [5_000, 20_000, 100_000])
def test_a_jpeg_is_no_longer_than_asked_and_still_the_picture(limit: int) -> None:
    data = jpeg_within(noise(600, 800), limit)
    assert data is not None
    assert limit / 3 < len(data) <= limit
    shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert abs(shown.shape[1] / shown.shape[0] - 4 / 3) < 0.05


def test_a_picture_that_no_jpeg_can_hold_gives_none() -> None:
    assert jpeg_within(np.zeros((2, 66_000, 3), np.uint8), 100_000) is None
    assert jpeg_within(noise(40, 40), 10) is None
