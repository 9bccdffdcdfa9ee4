"""inspector models: what is listed, what is verified, the way back, and the check at a station."""

import json
import shutil
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from inspector.cli.check import examine
from inspector.daemon import run
from inspector.edge.log import Log, database_path
from inspector.errors import CheckpointError
from inspector.settings import read_station
from inspector.vlm.frozen_set import FOLDER, open_set
from inspector.vlm.model_store import install
from tests.conftest import Tiny
from tests.parity_kit import frozen_tiny
from tests.station_kit import write_pictures, write_station


@pytest.fixture(scope="module")
def makings(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("makings")
    frozen_tiny(tiny, folder / "whole")
    frozen_tiny(tiny, folder / "other", changed=1)
    frozen_tiny(tiny, folder / "damaged", damaged=True)
    return folder


@pytest.fixture
def root(tmp_path: Path, makings: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a root whose station s1 uses the whole model; s2 uses one that answers otherwise than its source."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    write_pictures(write_station(tmp_path).folder / "frames", 3)
    write_pictures(write_station(tmp_path, "s2", model='checkpoint = "damaged"\nthreads = 1').folder / "frames", 1)
    shutil.copytree(makings / "whole", tmp_path / "models" / "tiny")
    shutil.copytree(makings / "damaged", tmp_path / "models" / "damaged")
    return tmp_path


def call(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), "models", *arguments])


def started(root: Path, station: str) -> str:
    settings = read_station(root / "calibration" / station)
    with Log(database_path(settings, root), station, read_only=True) as log:
        return str(next(event.detail for event in log.events() if event.kind == "started"))


def test_the_daemon_passes_the_gate_once_and_remembers_it(root: Path) -> None:
    settings = read_station(root / "calibration" / "s1")
    run(settings, root, threading.Event(), lambda _: None)
    assert "parity: " in started(root, "s1")
    memory = root / "var" / "s1" / "inspector.parity.json"
    kept = json.loads(memory.read_text(encoding="utf-8"))
    assert (kept["flips"], kept["pictures"]) == (0, len(open_set(root / "models" / "tiny" / FOLDER).pictures))
    stamp = memory.stat().st_mtime_ns
    run(settings, root, threading.Event(), lambda _: None)
    assert memory.stat().st_mtime_ns == stamp
    done = call(root, "list")
    assert "s1: passed 20" in done.output
    assert "s2: not judged here yet" in done.output


def test_the_daemon_judges_no_part_with_a_model_that_answers_otherwise_than_its_source(root: Path) -> None:
    settings = read_station(root / "calibration" / "s2")
    with pytest.raises(CheckpointError, match="does not answer on this machine as its source did"):
        run(settings, root, threading.Event(), lambda _: None)
    with Log(database_path(settings, root), "s2", read_only=True) as log:
        assert list(log.find()) == []


def test_the_check_tells_of_the_gate_and_writes_nothing(root: Path) -> None:
    [line] = [found for found in examine(root, "s1") if found.check == "parity"]
    assert line.state == "ok"
    assert "0 flips, largest shift" in line.text
    head, *rest = [found for found in examine(root, "s2") if found.check == "parity"]
    assert head.state == "FAULT"
    assert all(found.state == "note" for found in rest)
    assert any("inspector models rollback s2" in found.text for found in rest)
    assert not (root / "var").exists()


def test_verify_shows_every_picture_and_draws_the_sheet(root: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    done = call(root, "verify", "s1", "--sheet", str(sheet))
    assert done.exit_code == 0, done.output
    frozen = open_set(root / "models" / "tiny" / FOLDER)
    assert all(picture.file.stem in done.output for picture in frozen.pictures)
    assert f"answers here as its source did: {len(frozen.pictures)} frozen pictures, 0 flips" in done.output
    assert sheet.read_bytes().startswith(b"\x89PNG")
    assert call(root, "verify", "tiny").exit_code == 0


def test_verify_ends_with_1_and_the_pictures_where_the_answers_differ(root: Path, tmp_path: Path) -> None:
    done = call(root, "verify", "damaged", "--sheet", str(tmp_path / "sheet.png"))
    assert done.exit_code == 1
    assert "FLIP" in done.output or "SHIFT" in done.output
    assert "error: " in done.output
    assert "inspector models rollback STATION" in done.output
    assert (tmp_path / "sheet.png").is_file()


def test_verify_without_a_set_says_how_to_make_one(root: Path, tiny: Tiny) -> None:
    shutil.copytree(tiny.folder, root / "models" / "bare")
    done = call(root, "verify", "bare")
    assert done.exit_code == 1
    assert "inspector models freeze STATION makes a set" in done.output
    assert "no frozen set" in call(root, "list").output


def test_the_list_names_users_faults_and_models_that_are_not_there(root: Path) -> None:
    (root / "models" / "tiny" / "decoder.onnx").write_bytes(b"")
    write_station(root, "s3", model='checkpoint = "gone"')
    done = call(root, "list")
    assert done.exit_code == 0
    assert "FAULT" in done.output
    assert "s3: models/gone is not there" in done.output


def test_rollback_says_what_it_did_and_what_takes_it_over(root: Path, makings: Path) -> None:
    station = root / "calibration" / "s1"
    name = install(root, station, makings / "other").checkpoint
    done = call(root, "rollback", "s1")
    assert done.exit_code == 0, done.output
    assert "station.toml: model.checkpoint is now tiny (tiny@" in done.output
    assert "sudo systemctl restart inspector@s1" in done.output
    assert "The way back: inspector models rollback s1 --forward" in done.output
    assert read_station(station).model.checkpoint == "tiny"
    assert call(root, "rollback", "s1", "--forward").exit_code == 0
    assert read_station(station).model.checkpoint == name
    assert call(root, "rollback", "s2").exit_code == 1


def test_freeze_writes_a_set_of_the_stations_own_pictures(root: Path) -> None:
    done = call(root, "freeze", "s1")
    assert done.exit_code == 0, done.output
    frozen = open_set(root / "calibration" / "s1" / FOLDER)
    assert f"{len(frozen.pictures)} of 3 pictures frozen for tiny@" in done.output
    assert frozen.source.startswith("float32 torch model rebuilt from the graphs of tiny@")
    verified = call(root, "verify", "s1")
    assert verified.exit_code == 0, verified.output
    assert all(picture.file.stem in verified.output for picture in frozen.pictures)


def test_freeze_without_a_folder_of_pictures_says_what_to_do(root: Path) -> None:
    write_station(root, cameras_line='kind = "device"\ndevice = 99')
    done = call(root, "freeze", "s1")
    assert done.exit_code == 1
    assert "name pictures of this station with --pictures FOLDER" in done.output
