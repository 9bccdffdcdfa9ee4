"""``inspector calibrate camera`` from pictures of a board to camera.toml."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from inspector.settings import read_camera_calibrations
from tests.board_kit import CHARUCO, MATRIX, board_picture, lay_pictures
from tests.station_kit import write_station

OTHER = "# by hand\n[other]\nmm_per_px = 0.5 # kept\n"


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = lay_pictures(tmp_path_factory.mktemp("boards"), CHARUCO)
    cv2.imwrite(str(folder / "empty.png"), np.full((480, 640, 3), 120, np.uint8))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_station(tmp_path)
    return tmp_path


def calibrate(root: Path, pictures: Path, *words: str) -> Result:
    board = ["--board", "charuco", "--squares", "9x6", "--square-mm", "10", "--marker-mm", "7"]
    arguments = ["--root", str(root), "calibrate", "camera", "s1", "--camera", "line", "--pictures", str(pictures), *board, *words]
    return CliRunner().invoke(main, arguments, env={"STATE_DIRECTORY": ""})


def test_a_lens_is_written_told_and_shown_and_other_cameras_are_kept(root: Path, boards: Path) -> None:
    path = root / "calibration" / "s1" / "camera.toml"
    path.write_text(OTHER + "\n[line]\nblur_min = 5.0\n", encoding="utf-8")
    flat = root / "flat.png"
    cv2.imwrite(str(flat), board_picture(CHARUCO, distance_mm=140.0))
    done = calibrate(root, boards, "--scale-picture", str(flat))
    assert done.exit_code == 0, done.output
    assert "note: empty.png: no charuco of 9x6 squares found; show more of it" in done.stderr
    assert "board00.png: 0." in done.stdout
    found = read_camera_calibrations(path.parent)
    assert path.read_text(encoding="utf-8").startswith(OTHER)
    assert found["other"].mm_per_px == 0.5
    line = found["line"]
    assert line.camera_matrix is not None
    assert line.camera_matrix[0][0] == pytest.approx(MATRIX[0, 0], rel=0.01)
    assert line.blur_min == 5.0
    assert line.mm_per_px == pytest.approx(0.2, rel=0.01)
    assert line.calibrated_at is not None
    assert (root / "var" / "s1" / "lens-s1-line.png").is_file()


def test_a_refusal_names_every_reason_writes_nothing_and_exits_with_1(root: Path, boards: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for name in ("board00.png", "board01.png"):
        shutil.copy(boards / name, few / name)
    for pictures, words, message in (
        (few, (), "2 usable pictures, 8 are needed"),
        (boards, ("--max-error", "0.0001"), "is above --max-error 0.0001"),
        (boards, ("--scale-picture", str(boards / "empty.png")), "no board found"),
    ):
        done = calibrate(root, pictures, *words)
        assert done.exit_code == 1
        assert message in done.stderr
    assert not (root / "calibration" / "s1" / "camera.toml").exists()
    assert not (root / "var").exists()


def test_what_cannot_be_meant_is_wrong_usage(root: Path, boards: Path) -> None:
    for words, message in ((("--squares", "9"), "should read like 9x6"), (("--camera", "none"), "'none' is not one of the cameras line")):
        done = calibrate(root, boards, *words)
        assert done.exit_code == 2
        assert message in done.stderr


def test_white_pictures_give_a_flat_field_and_unfit_ones_are_named(root: Path, boards: Path) -> None:
    white = root / "white"
    white.mkdir()
    for number in range(4):
        cv2.imwrite(str(white / f"{number}.png"), np.full((480, 640, 3), 200, np.uint8))
    assert calibrate(root, boards, "--white", str(white)).exit_code == 0
    line = read_camera_calibrations(root / "calibration" / "s1")["line"]
    assert line.gain is not None
    assert line.gain.shape == (480, 640)
    before = sorted(path.name for path in (root / "calibration" / "s1").iterdir())
    cv2.imwrite(str(white / "4.png"), np.full((480, 640, 3), 255, np.uint8))
    done = calibrate(root, boards, "--white", str(white))
    assert done.exit_code == 1
    assert "4.png: 100.0 % of it is saturated" in done.stderr
    assert sorted(path.name for path in (root / "calibration" / "s1").iterdir()) == before
