"""Stillness: which pictures in a row are no live camera's."""

import numpy as np
import pytest

from inspector.core.frame import Image
from inspector.edge.camera.stillness import Stillness


def noisy(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 255, (130, 40, 3)).astype(np.uint8)


def test_pictures_with_noise_are_alive_for_ever() -> None:
    stillness = Stillness(3)
    assert all(stillness.look(noisy(seed), None) is None for seed in range(50))


def test_so_many_equal_pictures_in_a_row_are_frozen_and_another_one_ends_it() -> None:
    stillness = Stillness(3)
    verdicts = [stillness.look(noisy(seed), None) for seed in (1, 1, 1, 1, 2, 2, 1)]
    assert [verdict is None for verdict in verdicts] == [True, True, False, False, True, True, True]
    assert "3 in a row are equal" in (verdicts[2] or "")


@pytest.mark.parametrize("row", range(130))
def test_one_pixel_that_moves_anywhere_is_life(row: int) -> None:
    stillness, other = Stillness(2), noisy(1)
    stillness.look(noisy(1), None)
    other[row, 7, 1] ^= 1
    assert stillness.look(other, None) is None


def test_a_frame_counter_that_stands_still_is_frozen_at_once() -> None:
    stillness = Stillness(5)
    assert stillness.look(noisy(1), 7) is None
    assert "frame counter stands still at 7" in (stillness.look(noisy(2), 7) or "")
    assert stillness.look(noisy(3), 8) is None


def test_a_counter_that_begins_anew_after_opening_is_no_fault_but_the_same_picture_still_is() -> None:
    stillness = Stillness(2)
    stillness.look(noisy(1), 1)
    stillness.reopened()
    assert stillness.look(noisy(2), 1) is None
    stillness.reopened()
    assert stillness.look(noisy(2), 1) is not None


def test_another_size_is_another_picture() -> None:
    stillness = Stillness(2)
    stillness.look(np.zeros((4, 4, 3), np.uint8), None)
    assert stillness.look(np.zeros((4, 5, 3), np.uint8), None) is None


def test_zero_switches_every_check_off() -> None:
    stillness = Stillness(0)
    assert all(stillness.look(noisy(1), 1) is None for _ in range(9))
