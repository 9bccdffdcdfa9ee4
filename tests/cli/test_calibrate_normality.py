"""``inspector calibrate normality`` from pictures to verdicts, with the shipped model: an untrained tower sees nothing."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from inspector.daemon import open_judge
from inspector.errors import CalibrationError
from inspector.settings import read_normalities, read_station
from tests.station_kit import picture, write_station

MODELS = Path(__file__).parents[2] / "models"
SHIPPED = 'checkpoint = "inspector-edge"\nthreads = 1'
ALONE = 'description = "ball screw"\nlabels = ["good"]\ngood = "good"'


def good_part(number: int) -> np.ndarray:
    """Return the same part under slightly different noise."""
    noise = np.random.default_rng(number).normal(0.0, 3.0, (96, 128, 3))
    return np.clip(picture(1) + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    install(folder)
    write_station(folder, products_screw=ALONE, model=SHIPPED)
    for number in range(24):
        write(folder / "good" / f"part{number:02d}.png", good_part(number))
        side = "val" if number % 3 == 0 else "train"
        write(folder / "data" / side / "good" / f"part{number:02d}.png", good_part(number))
    for number in range(6):
        write(folder / "data" / "val" / "scale" / f"bad{number}.png", picture(50 + number))
    return folder


def install(root: Path) -> None:
    (root / "models").mkdir()
    (root / "models" / "inspector-edge").symlink_to(MODELS / "inspector-edge")


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def run(root: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), *words], env={"STATE_DIRECTORY": ""})


def calibrate(root: Path, *words: str) -> Result:
    return run(root, "calibrate", "normality", "s1", *words)


def inspect(root: Path, path: Path, *words: str) -> dict[str, Any]:
    done = run(root, "inspect", "s1", str(path), *words)
    assert done.exit_code == 0, done.output
    line: dict[str, Any] = json.loads(done.stdout)
    return line


@pytest.fixture(scope="module")
def fitted(root: Path) -> Result:
    done = calibrate(root, "--pictures", str(root / "good"), "--no-groups", "--keep", "0.9")
    assert done.exit_code == 0, done.output
    return done


def test_a_station_runs_on_good_parts_alone_all_is_pass_or_review(root: Path, fitted: Result) -> None:
    assert "promise: of 1000 good parts of this kind at most 100 go to review as unlike" in fitted.stdout
    assert "seen on: 24 good pictures in 24 groups" in fitted.stdout
    good, strange = inspect(root, root / "good" / "part05.png"), inspect(root, root / "data/val/scale/bad1.png")
    assert (good["disposition"], strange["disposition"]) == ("pass", "review")
    assert "unlike any good part seen (score" in strange["reason"]
    assert strange["normality"]["frame"]["score"] > strange["normality"]["frame"]["limit"] > good["normality"]["frame"]["score"]


def test_the_table_says_what_it_stands_on_and_the_memory_lies_beside_it(root: Path, fitted: Result) -> None:
    found = read_normalities(root / "calibration" / "s1")["screw"]
    assert (found.keep, found.groups, found.fitted_on) == (0.9, 24, 24)
    assert found.model.startswith("inspector-edge@")
    assert (root / "calibration" / "s1" / found.memory_file).is_file()
    assert "# promise: of 1000 good parts" in (root / "calibration" / "s1" / "normality.toml").read_text()


def test_fitting_again_leaves_one_memory(root: Path, fitted: Result) -> None:
    done = calibrate(root, "--pictures", str(root / "data" / "val" / "good"), "--no-groups", "--keep", "0.8")
    assert done.exit_code == 0, done.output
    assert len(list((root / "calibration" / "s1").glob("normality-*.npz"))) == 1
    calibrate(root, "--pictures", str(root / "good"), "--no-groups", "--keep", "0.9")


def test_too_few_good_parts_are_refused_with_what_is_missing(root: Path, fitted: Result) -> None:
    before = (root / "calibration" / "s1" / "normality.toml").read_bytes()
    done = calibrate(root, "--pictures", str(root / "good"), "--no-groups")
    assert done.exit_code == 1
    assert "takes 99 groups of good parts, there are 24; show 75 more good parts, or ask for less: --keep 0.96" in done.stderr
    assert (root / "calibration" / "s1" / "normality.toml").read_bytes() == before


def test_check_says_what_would_be_caught_and_writes_nothing(tmp_path: Path, root: Path) -> None:
    install(tmp_path)
    station = write_station(tmp_path, model=SHIPPED)
    done = calibrate(tmp_path, "--data", str(root / "data"), "--group-pattern", r"(part\d+|bad\d+)", "--check", "--keep", "0.9")
    assert done.exit_code == 0, done.output
    assert "seen in val: 8 good and 6 defective pictures" in done.stdout
    assert "AUROC: 1.000" in done.stdout
    assert "caught with 1 % of the good pictures in review: 100.0 %" in done.stdout
    assert not list(station.folder.glob("normality*"))


def test_another_checkpoint_is_refused_until_it_is_fitted_again(tmp_path: Path, root: Path, fitted: Result) -> None:
    install(tmp_path)
    shutil.copytree(root / "calibration", tmp_path / "calibration")
    table = tmp_path / "calibration" / "s1" / "normality.toml"
    table.write_text(table.read_text().replace('model = "inspector-edge@', 'model = "inspector-edge@000'))
    settings = read_station(table.parent)
    with (
        pytest.raises(CalibrationError, match="sees parts in other numbers; fit again with inspector calibrate normality"),
        open_judge(settings, tmp_path),
    ):
        pass
    checked = run(tmp_path, "check", "s1").stdout
    assert "FAULT" in next(line for line in checked.splitlines() if line.startswith("normality"))
    assert calibrate(tmp_path, "--pictures", str(root / "good"), "--no-groups", "--keep", "0.9").exit_code == 0
    with open_judge(settings, tmp_path) as pipeline:
        assert pipeline.products["screw"].normality is not None


def test_a_memory_that_is_gone_or_damaged_is_named(tmp_path: Path, root: Path, fitted: Result) -> None:
    shutil.copytree(root / "calibration", tmp_path / "calibration")
    folder = tmp_path / "calibration" / "s1"
    (memory,) = folder.glob("normality-*.npz")
    memory.write_bytes(memory.read_bytes()[:100])
    with pytest.raises(CalibrationError, match="is no memory of good parts; fit again"):
        read_normalities(folder)
    memory.unlink()
    with pytest.raises(CalibrationError, match="is missing; fit again"):
        read_normalities(folder)


def test_a_heat_map_is_drawn_on_demand_for_one_picture(root: Path, fitted: Result, tmp_path: Path) -> None:
    target = tmp_path / "heat.png"
    inspect(root, root / "data/val/scale/bad1.png", "--heat-map", str(target))
    shown = cv2.imread(str(target))
    assert shown is not None
    assert shown.shape[1] == 128
    two = [str(root / "good" / name) for name in ("part01.png", "part02.png")]
    assert run(root, "inspect", "s1", *two, "--heat-map", str(target)).exit_code == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give the pictures: --pictures FOLDER"),
        (("--pictures", "{good}", "--data", "{good}"), "exclude each other"),
        (("--pictures", "{good}", "--no-groups", "--check"), "needs defects to catch"),
        (("--pictures", "{good}", "--no-groups", "--product", "nut"), "'nut' is not one of the products"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(root: Path, words: tuple[str, ...], message: str) -> None:
    done = calibrate(root, *(word.format(good=root / "good") for word in words))
    assert done.exit_code == 2
    assert message in done.stderr
