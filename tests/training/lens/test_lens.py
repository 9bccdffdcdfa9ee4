"""A known camera is recovered from pictures of a board."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inspector.errors import CalibrationError
from inspector.training.lens.board import Board, View
from inspector.training.lens.fit import Lens, corner_views, fit_lens, unfit_lens, unfit_views
from inspector.training.lens.plane import mm_per_px
from inspector.training.lens.preview import preview
from tests.board_kit import CHARUCO, CHESSBOARD, COEFFICIENTS, MATRIX, SHIFTS, SIZE, TILTS, board_picture

KNOWN = Lens(tuple(map(tuple, MATRIX.tolist())), tuple(COEFFICIENTS.tolist()), 0.1, (), 0.001)


@pytest.fixture(scope="module")
def views() -> list[View]:
    return views_of(CHARUCO)


def views_of(board: Board) -> list[View]:
    found = [
        board.view(Path(f"{n}.png"), board_picture(board, tilt, shift)) for n, (tilt, shift) in enumerate(zip(TILTS, SHIFTS, strict=True))
    ]
    return [view for view in found if view is not None]


@pytest.mark.parametrize("board", [CHARUCO, CHESSBOARD], ids=["charuco", "chessboard"])
def test_a_known_camera_is_recovered(board: Board) -> None:
    views = views_of(board)
    lens = fit_lens(views)
    matrix = np.array(lens.matrix)
    assert len(views) >= 8
    assert lens.rms_px < 0.3
    assert len(lens.view_rms_px) == len(views)
    assert np.diag(matrix)[:2] == pytest.approx(np.diag(MATRIX)[:2], rel=0.01)
    assert matrix[:2, 2] == pytest.approx(MATRIX[:2, 2], abs=4.0)
    assert lens.coefficients[0] == pytest.approx(COEFFICIENTS[0], abs=0.03)
    assert unfit_views(views) == unfit_lens(lens, views, 0.5) == []


def test_a_picture_without_a_board_has_no_view() -> None:
    grey = np.full((480, 640, 3), 120, np.uint8)
    assert CHARUCO.view(Path("a.png"), grey) is None
    assert CHESSBOARD.view(Path("a.png"), grey) is None


def test_too_few_views_and_mixed_sizes_are_told(views: list[View]) -> None:
    assert "7 usable pictures, 8 are needed" in unfit_views(views[:7])[0]
    odd = [*views[:9], replace(views[9], size=(480, 640))]
    assert "pictures differ in size: 9.png has 480 x 640 pixels, 0.png 640 x 480" in unfit_views(odd)[0]


def test_a_corner_that_no_view_reaches_is_named(views: list[View]) -> None:
    assert min(corner_views(views).values()) >= 2
    near = [replace(view, corners_px=view.corners_px * np.float32(0.6)) for view in views]
    assert any(reason.startswith("the bottom right corner of the frame is reached by 0 views") for reason in unfit_views(near))


def test_a_bad_fit_is_told_with_its_worst_picture(views: list[View]) -> None:
    noise = np.random.default_rng(0).normal(0.0, 3.0, views[3].corners_px.shape).astype(np.float32)
    spoilt = [*views[:3], replace(views[3], corners_px=views[3].corners_px + noise), *views[4:]]
    assert "is above --max-error 0.5; remove blurred pictures (the worst is 3.png)" in unfit_lens(fit_lens(spoilt), spoilt, 0.5)[0]
    assert "the views are too alike" in unfit_lens(replace(KNOWN, focal_doubt=0.1), views, 0.5)[0]
    assert len(unfit_lens(replace(KNOWN, rms_px=float("nan"), view_rms_px=(1.0,), focal_doubt=float("nan")), views, 0.5)) == 2


def test_the_scale_on_the_plane_is_that_of_the_distance() -> None:
    flat = CHARUCO.view(Path("flat.png"), board_picture(CHARUCO, distance_mm=140.0))
    assert flat is not None
    assert mm_per_px(flat, KNOWN) == pytest.approx(140.0 / 702.0, rel=0.005)
    aslant = CHARUCO.view(Path("aslant.png"), board_picture(CHARUCO, (25, 0)))
    assert aslant is not None
    with pytest.raises(CalibrationError, match=r"aslant.png: the scale differs by .* across the board"):
        mm_per_px(aslant, KNOWN)


def test_the_preview_shows_before_and_after(views: list[View]) -> None:
    picture = board_picture(CHARUCO, TILTS[0], SHIFTS[0])
    shown = preview(views[0], picture, KNOWN)
    assert shown.shape == (SIZE[1], 2 * SIZE[0], 3)
    assert np.any(shown[:, : SIZE[0]] != picture)


@pytest.mark.parametrize(
    ("board", "message"),
    [
        (("charuco", 3, 6, 10.0, 7.0), "at least 4x4 squares"),
        (("charuco", 9, 6, 10.0, 10.0), "smaller than its square"),
        (("charuco", 30, 20, 10.0, 7.0), "at most 500 squares"),
    ],
)
def test_an_impossible_board_is_told(board: tuple[str, int, int, float, float], message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        Board(*board)  # type: ignore[arg-type]
