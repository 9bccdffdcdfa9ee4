"""From looks to warnings."""

from collections.abc import Iterable
from datetime import UTC, datetime

import numpy as np
import pytest

from inspector.core.calibration import CameraCalibration
from inspector.core.frame import Frame, Image
from inspector.core.scene import Look, SceneReference
from inspector.scene.reference import reference_of
from inspector.scene.watch import LOOKS, LOST_LOOKS, Scenes, Watch
from tests.scene_kit import still_part, view

ROW = (1.0, 1.0, 1.0)
FIXED = SceneReference("a.png", (960, 540), 20, ROW, ROW, 0.1, 0.01, 9.0, 0.08, ((0, 0),))
GOOD, MOVED, DIM, LOST = Look(0.5, 0.0, 1.0), Look(12.0, 0.3, 1.0), Look(0.5, 0.0, 0.8), Look(trouble="2 of its 9 fixed parts were found")


def told(looks: Iterable[Look], watch: Watch | None = None) -> list[str]:
    """Return the kinds that looks give."""
    watch = watch or Watch("top", FIXED)
    return [kind for seen in looks for kind, _ in watch.hear(seen)]


def test_a_move_is_told_once_when_it_begins_and_once_when_it_ends() -> None:
    assert told([GOOD] * 20) == []
    assert told([GOOD] * 20 + [MOVED] * 100) == ["camera-moved"]
    assert told([GOOD] * 20 + [MOVED] * 100 + [GOOD] * 100) == ["camera-moved", "camera-moved-ended"]


def test_the_warning_says_how_far_and_what_to_do() -> None:
    watch = Watch("top", FIXED)
    ((_, detail),) = [event for seen in [MOVED] * 9 for event in watch.hear(seen)]
    assert detail.startswith(
        "top: the camera has moved: the scene lies 12.0 px from its reference, turned by 0.3 degrees (limit 9 px); mount"
    )
    watch = Watch("top", FIXED)
    ((_, detail),) = [event for seen in [DIM] * 9 for event in watch.hear(seen)]
    assert detail.startswith("top: the scene is 20 % darker than its reference (limit 8 %); see to lamp")


def test_the_two_warnings_do_not_mix() -> None:
    assert told([DIM] * 20) == ["exposure-drift"]
    assert told([Look(12.0, 0.0, 0.8)] * 20) == ["camera-moved", "exposure-drift"]
    assert told([DIM] * 20 + [GOOD] * 20) == ["exposure-drift", "exposure-drift-ended"]


def test_a_few_odd_looks_are_not_told_and_a_value_near_the_limit_does_not_flicker() -> None:
    assert told(([GOOD] * 10 + [MOVED] * (LOOKS // 2)) * 10) == []
    assert told([Look(9.2), Look(8.8)] * 60) in ([], ["camera-moved"])
    assert told([Look(10.0)] * 10 + [Look(8.0)] * 60) == ["camera-moved"]


def test_a_scene_that_is_lost_for_long_is_told_and_a_cover_for_a_while_is_not() -> None:
    assert told([GOOD] * 10 + [LOST] * (LOST_LOOKS - 1) + [GOOD] * 10 + [LOST] * (LOST_LOOKS - 1)) == []
    assert told([GOOD] * 10 + [LOST] * 200 + [GOOD] * (LOOKS - 1)) == ["camera-moved"]
    assert told([GOOD] * 10 + [LOST] * 200 + [GOOD] * LOOKS) == ["camera-moved", "camera-moved-ended"]


def frames(images: Iterable[Image], *, camera: str = "top", every_s: float = 1.0) -> list[Frame]:
    return [
        Frame("s1", camera, str(number), datetime.now(UTC), round(1e9 * every_s * (number + 1)), image)
        for number, image in enumerate(images)
    ]


@pytest.fixture(scope="module")
def calibrations() -> dict[str, CameraCalibration]:
    return {"top": CameraCalibration(reference=reference_of([view(number) for number in range(15)], "s1: top").reference)}


@pytest.mark.parametrize(
    ("kinds", "how"),
    [
        ([], {}),
        ([], {"shift": (3, 0)}),
        (["camera-moved"], {"shift": (9, 0)}),
        (["camera-moved"], {"shift": (0, -24)}),
        (["camera-moved"], {"turn_deg": 1.0}),
        (["exposure-drift"], {"light": 0.8}),
        ([], {"noise": 25.0}),
        ([], {"hand": True}),
    ],
)  # fmt: skip
def test_only_what_lasts_and_passes_a_limit_is_told(
    calibrations: dict[str, CameraCalibration], kinds: list[str], how: dict[str, float]
) -> None:
    views = [view(100 + number, **how) for number in range(2 * LOOKS)]  # type: ignore[arg-type]
    assert [kind for kind, _ in Scenes().look(frames(views), calibrations)] == kinds


def test_a_scene_without_fixed_parts_gives_no_warning_of_a_move() -> None:
    reference = reference_of([still_part(number) for number in range(15)], "s1: top").reference
    parts = [still_part(100 + number) for number in range(80)]
    assert list(Scenes().look(frames(parts), {"top": CameraCalibration(reference=reference)})) == []


def test_a_camera_is_looked_at_once_a_second_and_not_at_all_without_a_reference(calibrations: dict[str, CameraCalibration]) -> None:
    moved = [view(1, shift=(24, 0))] * (3 * LOOKS)
    assert list(Scenes().look(frames(moved, every_s=0.3), calibrations)) == []
    assert [kind for kind, _ in Scenes().look(frames(moved, every_s=0.5), calibrations)] == ["camera-moved"]
    assert list(Scenes().look(frames(moved), {"top": CameraCalibration()})) == []
    assert list(Scenes().look(frames(moved, camera="side"), calibrations)) == []


def test_a_new_reference_or_none_ends_the_warnings_of_the_old_one(calibrations: dict[str, CameraCalibration]) -> None:
    scenes, moved = Scenes(), [view(1, shift=(24, 0))] * LOOKS
    assert [kind for kind, _ in scenes.look(frames(moved), calibrations)] == ["camera-moved"]
    assert list(scenes.look(frames(moved), {})) == [("camera-moved-ended", "top: the reference was changed")]
    assert list(scenes.look(frames(moved), {})) == []


def test_frames_with_a_fault_are_no_looks(calibrations: dict[str, CameraCalibration]) -> None:
    nothing = np.zeros((0, 0, 3), np.uint8)
    assert list(Scenes().look(frames([nothing] * (2 * LOST_LOOKS)), calibrations)) == []
