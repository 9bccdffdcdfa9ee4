"""The contact sheet: one tile a picture, wrong answers marked so that nobody misses them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inspector.demo.sheet import Tile, write_sheet
from tests.station_kit import picture


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    path = tmp_path / "part.png"
    cv2.imwrite(str(path), picture(1))
    return path


def sheet_of(tmp_path: Path, tiles: list[Tile]) -> NDArray[np.uint8]:
    path = tmp_path / "var" / "sheet.png"
    write_sheet(path, tiles, "inspector demo")
    assert path.read_bytes().startswith(b"\x89PNG")
    image = cv2.imread(str(path))
    assert image is not None
    return np.asarray(image, np.uint8)


@pytest.mark.parametrize(("count", "rows"), [(0, 0), (1, 1), (10, 1), (11, 2), (25, 3)])
def test_the_sheet_has_ten_tiles_a_row(tmp_path: Path, shown: Path, count: int, rows: int) -> None:
    tile = Tile(shown, "good", "good", 0.9, "pass")
    assert sheet_of(tmp_path, [tile] * count).shape == (54 + rows * 204 + 8, 10 * 158 + 8, 3)


def test_a_wrong_answer_is_framed_red_and_a_right_one_green(tmp_path: Path, shown: Path) -> None:
    sheet = sheet_of(tmp_path, [Tile(shown, "good", "good", 0.9, "pass"), Tile(shown, "good", "dent", 0.9, "fail")])
    right, wrong = sheet[54 + 2, 8 + 75], sheet[54 + 2, 8 + 158 + 75]
    assert right[1] > right[2], "green"
    assert wrong[2] > wrong[1], "red"
    tiles = [sheet[54:250, 8 + 158 * n : 158 + 158 * n] for n in range(2)]
    assert not np.array_equal(tiles[0], tiles[1])
    assert np.array_equal(tiles[0][30:140, 10:140], tiles[1][30:140, 10:140]), "the pictures themselves are the same"


def test_a_wrong_answer_is_told_apart_without_colour(tmp_path: Path, shown: Path) -> None:
    sheet = sheet_of(tmp_path, [Tile(shown, "good", "good", 0.9, "pass"), Tile(shown, "good", "dent", 0.9, "pass")])
    marks = [sheet[54 + 3 : 54 + 26, 8 + 158 * n + 124 : 8 + 158 * n + 147].min(axis=2) < 150 for n in range(2)]
    assert (marks[0] != marks[1]).any(), "a tick and a cross"


def test_a_picture_that_cannot_be_read_and_a_fault_have_their_tile(tmp_path: Path) -> None:
    sheet = sheet_of(tmp_path, [Tile(tmp_path / "gone.png", "a_very_long_label_name_that_fits_nowhere", None, 0.0, "review")])
    assert (sheet[54 + 2, 8 + 75] != 250).any()
