"""``inspector train STATION`` where the station's model is a full MiniCPM-V, on tiny models of the true classes."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.torch import load_file, save_file

from inspector.cli import main
from inspector.settings import read_decisions, read_station
from inspector.training.full_model import learning
from inspector.training.full_model.plan import full_plan
from inspector.training.train import Check, train
from inspector.vlm.frozen_set import open_set
from inspector.vlm.full_checkpoint import open_full, verify_full
from tests.cli.test_train_station import TWO, lay
from tests.full_kit import write_tiny_full
from tests.station_kit import export_encoder_into, write_station

GROUPS = ("--group-pattern", r"(part\d+)")
MODEL = 'checkpoint = "openbmb/tiny"\nthreads = 1\nprecision = "float32"\nmax_slices = 4'


@pytest.fixture(params=["minicpmv4_6", "minicpmv4_7"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_tiny_full(tmp_path / "models" / "openbmb" / "tiny", request.param, encoder="")
    export_encoder_into(tmp_path / "models")
    station(tmp_path)
    lay(tmp_path / "data")
    quick = {"steps": 30, "copies": 2, "learning_rate": 1e-2, "averaging": 0.9}
    monkeypatch.setattr("inspector.training.full_model.plan.full_plan", lambda *given: full_plan(*given).model_copy(update=quick))
    return tmp_path


def station(root: Path, model: str = MODEL, reports: str = "max_reports = 2") -> Path:
    write_station(root, products_screw=TWO, model=model, reports=reports)
    path = root / "calibration" / "s1" / "station.toml"
    path.write_text(re.sub(r"\[products\.strip\][^\[]*(\[\"[^\[]*)*", "", path.read_text()))
    return path.parent


def inspector(root: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), *words], env={"STATE_DIRECTORY": ""})


def taught(root: Path, *words: str) -> Result:
    return inspector(root, "train", "s1", "--data", str(root / "data"), *GROUPS, *words)


def test_a_full_model_is_taught_measured_calibrated_held_against_its_source_and_put_in_place(root: Path) -> None:
    done = taught(root, "--max-escape", "0.4")
    assert done.exit_code == 0, done.output
    settings = read_station(root / "calibration" / "s1")
    folder = root / "models" / settings.model.checkpoint
    checkpoint = open_full(folder, settings.model)
    assert settings.model.checkpoint == f"s1-{checkpoint.revision}"
    assert (checkpoint.is_trained, checkpoint.is_verified, verify_full(folder)) == (True, True, [])
    assert (checkpoint.report_width, checkpoint.encoder.split("@")[0]) == (384, "all-MiniLM-L6-v2")
    assert {path.name for path in (folder / "adapters").iterdir()} >= {"adapter_config.json", "adapter_model.safetensors"}
    frozen = open_set(folder / "parity")
    assert frozen.model == checkpoint.identity
    assert any(picture.context.reports for picture in frozen.pictures)
    assert read_decisions(root / "calibration" / "s1")["screw"].model == f"{checkpoint.name}@{checkpoint.revision}"
    origin = json.loads((folder / "training.json").read_text())
    assert (origin["seed"], origin["evaluation"]["n"], "image_px" in origin["recipe"]) == (0, 12, False)
    assert not list((root / "var" / "s1" / "train").rglob("*.safetensors")), "what is not needed any more is gone"
    picture = next((root / "data" / "val" / "good").iterdir())
    judged = inspector(root, "inspect", "s1", str(picture))
    assert json.loads(judged.stdout)["model"] == f"{checkpoint.name}@{checkpoint.revision}"
    verified = inspector(root, "models", "verify", "s1")
    assert (verified.exit_code, "answers here as its source did" in verified.stdout) == (0, True), verified.output
    assert f"{len(frozen.pictures)} frozen pictures, 0 flips" in inspector(root, "check", "s1").stdout
    listed = inspector(root, "models", "list").stdout
    assert settings.model.checkpoint in listed
    assert "openbmb/tiny" in listed
    back = inspector(root, "models", "rollback", "s1")
    assert (back.exit_code, "parity not shown, no frozen set" in back.stdout) == (0, True), back.output
    assert read_station(root / "calibration" / "s1").model.checkpoint == "openbmb/tiny"
    forward = inspector(root, "models", "rollback", "s1", "--forward")
    assert (forward.exit_code, "parity: " in forward.stdout) == (0, True), forward.output


@pytest.fixture
def learnt(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What each training ends with."""
    ends: list[dict[str, Any]] = []

    def watched(*given: Any) -> Any:
        model = train(*given)
        ends.append({name: value.clone() for name, value in model.state_dict().items()})
        return model

    monkeypatch.setattr(learning, "train", watched)
    return ends


@pytest.mark.parametrize("root", ["minicpmv4_6"], indirect=True)
def test_a_killed_training_goes_on_and_ends_where_an_undisturbed_one_does(
    root: Path, learnt: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        pass

    def killed(model: Any, sources: Any, recipe: Any, state: Path, console: Any, check: Check[Any]) -> Any:
        def look(model: Any) -> tuple[float, ...]:
            raise KilledError

        train(model, sources, recipe, state, console, Check(3, look))

    shutil.copytree(root, root.with_name("other"))
    monkeypatch.setattr("inspector.training.train.SAVE_EVERY_S", 0.0)
    with monkeypatch.context() as once:
        once.setattr(learning, "train", killed)
        assert isinstance(taught(root).exception, SystemExit)
    assert list((root / "var" / "s1" / "train").rglob("*.state.pt")), "the state of step 2 is there"
    for place in (root, root.with_name("other")):
        done = taught(place)
        assert done.exit_code == 0, done.output
    resumed, undisturbed = learnt
    assert all(np.array_equal(resumed[name].numpy(), undisturbed[name].numpy()) for name in undisturbed)


@pytest.mark.parametrize("root", ["minicpmv4_6"], indirect=True)
def test_what_would_not_fit_is_refused_with_advice_before_it_begins(root: Path) -> None:
    station(root, f"{MODEL}\nmax_memory_bytes = 1_000_000")
    done = taught(root)
    assert done.exit_code == 1
    for expected in ("teaching it takes about", "GB in float32", "train on a machine with more memory", 'checkpoint = "inspector-edge"'):
        assert expected in done.stderr
    assert not list((root / "var" / "s1" / "train").rglob("seen-*")), "nothing was done yet"


@pytest.mark.parametrize("root", ["minicpmv4_6"], indirect=True)
def test_weights_that_answer_otherwise_than_their_source_do_not_start(root: Path) -> None:
    station(root, reports="max_reports = 0")
    assert taught(root).exit_code == 0
    settings = read_station(root / "calibration" / "s1")
    folder = root / "models" / settings.model.checkpoint
    assert not (folder / "reports.safetensors").exists()
    weights = load_file(folder / "model.safetensors")
    for name, value in weights.items():
        if "q_proj" in name or "out_proj" in name:
            value.neg_()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    picture = next((root / "data" / "val" / "good").iterdir())
    altered = inspector(root, "inspect", "s1", str(picture))
    assert (altered.exit_code, "it is altered" in altered.stderr) == (1, True)
    (folder / "origin.toml").unlink()
    other = inspector(root, "inspect", "s1", str(picture))
    assert (other.exit_code, "was made for minicpmv4_6@" in other.stderr) == (1, True), other.output


@pytest.mark.parametrize("root", ["minicpmv4_6"], indirect=True)
def test_a_model_of_the_hub_gets_a_frozen_set_and_another_precision_is_held_against_float32(root: Path) -> None:
    frozen = inspector(root, "models", "freeze", "s1", "--pictures", str(root / "data" / "val" / "good"))
    assert frozen.exit_code == 0, frozen.output
    found = open_set(root / "calibration" / "s1" / "parity")
    assert "in float32" in found.source
    station(root, MODEL.replace("float32", "bfloat16"))
    verified = inspector(root, "models", "verify", "s1")
    assert f"{len(found.pictures)} frozen picture" in verified.stdout, verified.output
    station(root, MODEL.replace("max_slices = 4", "max_slices = 1"))
    other = inspector(root, "models", "verify", "s1")
    assert "is not compared" in other.stdout
