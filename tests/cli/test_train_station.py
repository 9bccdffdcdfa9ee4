"""``inspector train STATION`` from pictures to a model in place, with the tiny model."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from inspector.settings import read_decisions, read_station
from inspector.training.station_model.plan import plan
from inspector.vlm.checkpoint import open_checkpoint
from tests.conftest import Tiny
from tests.station_kit import install_tiny, picture, write_station

TWO = 'description = "ball screw"\nlabels = ["good", "scale"]\ngood = "good"\nsymmetry = "both"'


def marked(number: int, label: str) -> np.ndarray:
    """Return a picture; a defective one bears a large bright patch."""
    image = (picture(number) // 2).copy()
    if label == "scale":
        image[20:70, 30:100] = 250
    return image


def lay(folder: Path, count: int = 36) -> None:
    for number in range(count):
        label = ("good", "scale")[number % 2]
        target = folder / ("val" if number < 12 else "train") / label
        target.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(target / f"part{number:02d}.png"), marked(number, label))


@pytest.fixture
def root(tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Path:
    install_tiny(tmp_path, tiny.folder)
    write_station(tmp_path, products_screw=TWO)
    path = tmp_path / "calibration" / "s1" / "station.toml"
    path.write_text(re.sub(r"\[products\.strip\][^\[]*(\[\"[^\[]*)*", "", path.read_text()).replace("[model]", "# my note\n[model]"))
    lay(tmp_path / "data")
    quick = {
        "steps": 4,
        "visits": 1,
        "visit_size": 4,
        "copies": 2,
    }  # the tiny model's tower is random: it sees nothing that could be learnt
    monkeypatch.setattr("inspector.training.station_model.plan.plan", lambda *given: plan(*given).model_copy(update=quick))
    monkeypatch.setattr("inspector.training.station_model.learning._PROBE_STEPS", 2)
    return tmp_path


def train(root: Path, *words: str, station: str = "s1") -> Result:
    arguments = ["--root", str(root), "train", station, "--data", str(root / "data"), *words]
    return CliRunner().invoke(main, arguments, env={"STATE_DIRECTORY": ""})


def test_a_product_is_learnt_measured_calibrated_and_put_in_place(root: Path) -> None:
    done = train(root, "--group-pattern", r"(part\d+)", "--max-escape", "0.4")
    assert done.exit_code == 0, done.output
    assert "in place: models/s1-" in done.stdout
    settings = read_station(root / "calibration" / "s1")
    checkpoint = open_checkpoint(root / "models" / settings.model.checkpoint)
    assert settings.model.checkpoint == f"s1-{checkpoint.revision}"
    assert "# my note" in (root / "calibration" / "s1" / "station.toml").read_text(), "the user's words stay"
    decision = read_decisions(root / "calibration" / "s1")["screw"]
    assert (decision.model, decision.fitted_on) == (f"s1-screw@{checkpoint.revision}", 12)
    assert (root / "var" / "s1" / "evaluate" / "evaluation.html").is_file()
    origin = json.loads((checkpoint.folder / "training.json").read_text())
    assert (origin["seed"], origin["evaluation"]["n"], len(origin["data_hash"])) == (0, 12, 64)
    assert not list((root / "var" / "s1" / "train").rglob("*.state.pt")), "what is not needed any more is gone"
    back = CliRunner().invoke(main, ["--root", str(root), "models", "rollback", "s1"])
    assert back.exit_code == 0, back.output
    assert read_station(root / "calibration" / "s1").model.checkpoint == "tiny"


def test_what_fails_leaves_the_old_model_in_use(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        from inspector.errors import CheckpointError  # noqa: PLC0415 - raised here alone

        raise CheckpointError("the gate")

    before = {path: path.read_bytes() for path in (root / "calibration" / "s1").rglob("*.toml")}
    monkeypatch.setattr("inspector.training.station_model.finishing.open_gate", refused)
    done = train(root, "--group-pattern", r"(part\d+)")
    assert (done.exit_code, "error: the gate" in done.output) == (1, True), done.output
    assert before == {path: path.read_bytes() for path in (root / "calibration" / "s1").rglob("*.toml")}


def test_a_station_with_several_products_is_refused_before_any_work(root: Path) -> None:
    write_station(root, products_screw=TWO)
    done = train(root, "--no-groups")
    assert done.exit_code == 1
    assert "training on screw would change how strip is judged" in done.output
    assert not (root / "var").exists()


def test_options_of_a_recipe_are_refused_for_a_station(root: Path) -> None:
    done = train(root, "--no-groups", "--steps", "3")
    assert done.exit_code == 2
    assert "--steps: only with a recipe" in done.output
