"""``inspector calibrate reference``, and pictures from a folder or the camera for every subject."""

from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from inspector.edge.lock import StationLock
from inspector.edge.log import database_path
from inspector.settings import read_camera_calibration
from tests.board_kit import CHARUCO, lay_pictures
from tests.scene_kit import still_part, view
from tests.station_kit import write_station

LIVE = 'kind = "device"\ndevice = 0'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_station(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    for number in range(12):
        cv2.imwrite(str(folder / f"{number:02d}.png"), view(number))
    return folder


def calibrate(root: Path, subject: str, *words: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), "calibrate", subject, "s1", *words], env={"STATE_DIRECTORY": ""})


def reference(root: Path, *words: str) -> Result:
    return calibrate(root, "reference", "--camera", "line", *words)


def test_a_reference_is_written_told_shown_and_tried(root: Path, scenes: Path, tmp_path: Path) -> None:
    later = tmp_path / "later"
    later.mkdir()
    for number in range(10):
        cv2.imwrite(str(later / f"{number}.png"), view(50 + number, shift=(24, 0)))
    done = reference(root, "--pictures", str(scenes), "--try", str(later))
    assert done.exit_code == 0, done.output
    assert "reference of 12 pictures of 960 x 540 pixels" in done.stdout
    assert "a move beyond 4.5 px will be told" in done.stdout
    assert (
        "tried on 10 pictures: scene not recognised in 0; warnings: 1\n  picture 7: camera-moved: line: the camera has moved" in done.stdout
    )
    assert done.stderr == ""
    found = read_camera_calibration(root / "calibration" / "s1", "line").reference
    assert found is not None
    assert len(found.tiles) > 10
    assert found.calibrated_at is not None
    assert (root / "var" / "s1" / "reference-s1-line.png").is_file()


def test_a_scene_without_fixed_parts_is_told_as_one(root: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    for number in range(12):
        cv2.imwrite(str(parts / f"{number:02d}.png"), still_part(number))
    done = reference(root, "--pictures", str(parts))
    assert done.exit_code == 0
    assert "this scene has no fixed parts; a moved camera cannot be seen" in done.stderr
    assert "a move beyond" not in done.stdout


def test_pictures_in_which_nothing_changes_are_warned_of(root: Path, tmp_path: Path) -> None:
    same = tmp_path / "same"
    same.mkdir()
    for number in range(10):
        cv2.imwrite(str(same / f"{number}.png"), view(1))
    assert "nearly nothing has changed from picture to picture" in reference(root, "--pictures", str(same)).stderr


def test_the_camera_takes_the_pictures_itself_and_they_are_kept(root: Path, scenes: Path) -> None:
    write_station(root, cameras_line=f'kind = "folder"\npath = "{scenes}"')
    done = reference(root, "--frames", "11", "--every", "60")
    assert done.exit_code == 0, done.output
    (kept,) = (root / "var" / "s1" / "calibration").iterdir()
    assert kept.name.startswith("line-")
    assert sorted(path.name for path in kept.iterdir()) == [f"{number:03d}.png" for number in range(11)]
    assert f"--pictures {kept} uses them again" in done.stderr
    few = reference(root, "--frames", "9")
    assert few.exit_code == 1
    assert "9 pictures, 10 are needed" in few.stderr


def test_the_lens_is_measured_on_pictures_of_the_camera_and_each_is_told(root: Path, tmp_path: Path) -> None:
    boards = lay_pictures(tmp_path / "boards", CHARUCO)
    write_station(root, cameras_line=f'kind = "folder"\npath = "{boards}"')
    board = ["--board", "charuco", "--squares", "9x6", "--square-mm", "10", "--marker-mm", "7"]
    done = calibrate(root, "camera", "--camera", "line", "--frames", "10", *board)
    assert done.exit_code == 0, done.output
    assert done.stdout.count(": board found, ") == 10
    assert read_camera_calibration(root / "calibration" / "s1", "line").camera_matrix is not None


def test_a_running_daemon_keeps_its_camera_and_is_named(root: Path) -> None:
    settings = write_station(root, cameras_line=LIVE)
    lock = StationLock(database_path(settings, root))
    lock.acquire()
    try:
        done = reference(root, "--frames", "10")
    finally:
        lock.release()
    assert done.exit_code == 1
    assert "another daemon of this station is running; stop it first" in done.stderr
    assert "A camera has one owner: systemctl stop inspector@s1 sets it free; or give --pictures" in done.stderr


def test_a_calibration_makes_no_lock_that_the_daemon_could_not_open(root: Path) -> None:
    settings = write_station(root, cameras_line='kind = "device"\ndevice = "/dev/video-that-is-not-there"\nopen_timeout_s = 0.5')
    done = reference(root, "--frames", "10")
    assert done.exit_code == 1
    assert "video-that-is-not-there" in done.stderr
    assert not StationLock(database_path(settings, root)).path.exists()


def test_pictures_come_from_a_folder_or_the_camera_and_not_from_both(root: Path, scenes: Path) -> None:
    for words in ((), ("--frames", "10", "--pictures", str(scenes))):
        done = reference(root, *words)
        assert done.exit_code == 2
        assert "give either --pictures FOLDER, or --frames N" in done.stderr
