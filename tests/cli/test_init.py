from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from inspector.cli.init_template import TEMPLATES
from inspector.settings import read_station


def init(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), "init", *arguments])


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_new_station_can_be_read_at_once(tmp_path: Path, template: str) -> None:
    done = init(tmp_path, "press", "--template", template)
    assert done.exit_code == 0, done.output
    folder = tmp_path / "calibration" / "press"
    settings = read_station(folder)
    assert all(settings.resolve(camera.path or Path("none")).is_dir() for camera in settings.cameras.values())
    assert "inspector check press" in done.output
    assert "inspector run press" in (folder / "README.md").read_text(encoding="utf-8")


def test_product_and_camera_path_may_be_given(tmp_path: Path) -> None:
    done = init(tmp_path, "press", "-t", "machine-element", "--product", "lead-screw", "--camera-path", str(tmp_path / "shots"))
    assert done.exit_code == 0, done.output
    settings = read_station(tmp_path / "calibration" / "press")
    assert settings.default_product == "lead-screw"
    assert settings.cameras["spindle"].path == tmp_path / "shots"


def test_an_existing_station_is_never_overwritten(tmp_path: Path) -> None:
    init(tmp_path, "press", "-t", "pcb")
    before = (tmp_path / "calibration" / "press" / "station.toml").read_bytes()
    done = init(tmp_path, "press", "-t", "solar")
    assert done.exit_code == 1
    assert "exists already and is not overwritten" in done.stderr
    assert (tmp_path / "calibration" / "press" / "station.toml").read_bytes() == before


@pytest.mark.parametrize("name", ["../press", "the press", "-press", ".press", "a/b", "prensa+", "压机", "x" * 65, ""])
def test_a_name_that_cannot_be_a_folder_or_topic_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    done = init(tmp_path, "-t", "pcb", "--", name)
    assert done.exit_code == 2
    assert "a name becomes a folder and an MQTT topic" in done.stderr
    assert not (tmp_path / "calibration").exists()


def test_a_bad_product_name_is_refused(tmp_path: Path) -> None:
    assert init(tmp_path, "press", "-t", "pcb", "--product", 'a"]').exit_code == 2


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "calibration").write_text("in the way")
    done = init(tmp_path, "press", "-t", "pcb")
    assert done.exit_code == 1
    assert "cannot be written" in done.stderr
