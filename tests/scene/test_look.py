"""A reference of the scene, and looks at it."""

import cv2
import numpy as np
import pytest

from inspector.core.frame import Image
from inspector.core.scene import TILE_PX, SceneReference
from inspector.errors import CalibrationError
from inspector.scene.look import look
from inspector.scene.reference import Drawn, reference_of
from tests.scene_kit import SIZE, still_part, view


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return reference_of((view(number) for number in range(20)), "s1: line")


@pytest.fixture
def reference(drawn: Drawn) -> SceneReference:
    return drawn.reference


def test_fixed_parts_lie_on_the_surround_and_not_where_parts_change(drawn: Drawn) -> None:
    reference = drawn.reference
    assert len(reference.tiles) >= 10
    middle = SIZE[0] / reference.scale / 2
    assert all(abs(x + TILE_PX / 2 - middle) > 60 - TILE_PX / 2 or y < 10 for x, y in reference.tiles)
    assert reference.scale == pytest.approx(3.0)
    assert reference.size_px == SIZE
    assert reference.frames == 20
    assert reference.shift_sigma_px < 0.5
    assert reference.moved_px == pytest.approx(4.5)
    assert reference.light_limit == pytest.approx(0.08)


@pytest.mark.parametrize("shift", [(3, 0), (0, 9), (-24, 0), (17, -17), (75, 0)])
def test_a_shift_is_measured_to_a_fraction_of_a_pixel_whatever_part_is_in_view(reference: SceneReference, shift: tuple[int, int]) -> None:
    for number in range(100, 106):
        seen = look(view(number, shift=shift), reference)
        assert seen.shift_px == pytest.approx(float(np.hypot(*shift)), abs=0.5)
        assert abs(seen.turn_deg) < 0.1


@pytest.mark.parametrize("turn_deg", [-3.0, 0.5, 1.0])
def test_a_rotation_is_measured_and_counts_as_a_shift(reference: SceneReference, turn_deg: float) -> None:
    seen = look(view(100, turn_deg=turn_deg), reference)
    assert seen.turn_deg == pytest.approx(turn_deg, rel=0.1)
    assert seen.shift_px is not None
    assert seen.shift_px > 2.5 * abs(turn_deg)


@pytest.mark.parametrize(("light", "noise"), [(0.8, 3.0), (1.2, 3.0), (1.0, 25.0)])
def test_light_and_noise_are_no_shift(reference: SceneReference, light: float, noise: float) -> None:
    seen = look(view(100, light=light, noise=noise), reference)
    assert seen.shift_px is not None
    assert seen.shift_px < 1.0
    assert seen.light == pytest.approx(light, abs=0.02)


def test_a_hand_hides_neither_the_scene_nor_a_shift(reference: SceneReference) -> None:
    for number in range(100, 109):
        still, moved = (look(view(number, hand=True, shift=(right, 0)), reference) for right in (0, 24))
        assert still.shift_px is not None
        assert still.shift_px < reference.moved_px
        assert still.light == pytest.approx(1.0, abs=0.03)
        assert moved.shift_px == pytest.approx(24.0, abs=1.0)


def test_what_is_not_the_scene_is_not_recognised_and_no_shift(reference: SceneReference) -> None:
    other = np.random.default_rng(3).integers(0, 255, (SIZE[1] // 12, SIZE[0] // 12, 3), dtype=np.uint8)
    for image in (np.zeros((SIZE[1], SIZE[0], 3), np.uint8), np.asarray(cv2.resize(other, SIZE), np.uint8)):
        seen = look(image, reference)
        assert seen.shift_px is None
        assert "fixed parts were found" in seen.trouble


def test_a_picture_of_another_size_is_told(reference: SceneReference) -> None:
    assert look(view(1)[:100], reference).trouble == "the picture has 960 x 100 pixels, the reference was taken at 960 x 540"


def test_a_scene_without_fixed_parts_promises_nothing_about_a_move() -> None:
    drawn = reference_of([still_part(number) for number in range(20)], "s1: line")
    assert drawn.reference.tiles == ()
    seen = look(still_part(50), drawn.reference)
    assert seen.shift_px is None
    assert seen.trouble == ""
    assert seen.light is not None
    assert drawn.reference.light_limit > 0.1, "parts of many brightnesses allow no narrow limit"


@pytest.mark.parametrize("image", [np.full((64, 64, 3), 128, np.uint8), np.full((20, 500, 3), 9, np.uint8), np.zeros((1, 1, 3), np.uint8)])
def test_a_plain_or_tiny_picture_makes_a_reference_without_fixed_parts(image: Image) -> None:
    reference = reference_of([image] * 10, "s1: line").reference
    assert reference.tiles == ()
    assert look(image, reference).light is not None


def test_lines_that_slide_along_themselves_and_patterns_that_repeat_are_no_fixed_parts() -> None:
    stripes = np.zeros((240, 320, 3), np.uint8)
    stripes[:, ::8] = stripes[:, 1::8] = stripes[:, 2::8] = stripes[:, 3::8] = 200
    edge = np.zeros((240, 320, 3), np.uint8)
    edge[:, 150:] = 200
    for image in (stripes, edge):
        assert reference_of([image] * 10, "s1: line").reference.tiles == ()


def test_what_is_no_basis_for_a_reference_is_refused() -> None:
    with pytest.raises(CalibrationError, match="s1: line: 9 pictures, 10 are needed"):
        reference_of([view(1)] * 9, "s1: line")
    with pytest.raises(CalibrationError, match=r"differ in size \(960 x 540, 960 x 500 pixels\)"):
        reference_of([view(1)] * 9 + [view(1)[:500]], "s1: line")


def test_how_much_came_and_went_is_known(drawn: Drawn) -> None:
    assert reference_of([view(1)] * 10, "s1: line").changed_share == 0.0
    assert drawn.changed_share > 0.05
