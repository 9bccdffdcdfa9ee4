"""``inspector inspect`` from file to JSON line, with the tiny model."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

import inspector
from inspector.cli import main
from tests.conftest import Tiny
from tests.station_kit import install_tiny, write_odd_pictures, write_pictures, write_station


@pytest.fixture
def root(tmp_path: Path, tiny: Tiny) -> Path:
    install_tiny(tmp_path, tiny.folder)
    write_station(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    path = Path(inspector.__file__).parent / "schemas" / "result.schema.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def inspect(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), "inspect", *arguments], env={"STATE_DIRECTORY": ""})


def test_each_file_gives_one_line_that_fits_the_shipped_schema_bad_files_included(root: Path, schema: dict[str, Any]) -> None:
    folder = root / "calibration" / "s1" / "frames"
    names = write_pictures(folder, 2)
    hopeless = write_odd_pictures(folder)
    files = [
        *(folder / name for name in names),
        *sorted(set(folder.iterdir()) - {folder / name for name in names}),
        folder / "gone.png",
        folder,
    ]
    done = inspect(root, "s1", *map(str, files))
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["frame"]["source"] for line in lines] == [str(path) for path in files]
    for line in lines:
        jsonschema.validate(line, schema)
    undefined = {line["frame"]["frame_id"] for line in lines if line["evaluation"] == "Undefined"}
    assert undefined == hopeless | {"gone.png", "frames"}
    assert all(line["reason"] and line["seq"] is None and line["is_simulated"] for line in lines)


def test_nothing_is_logged_or_left_behind(root: Path) -> None:
    folder = root / "calibration" / "s1" / "frames"
    names = write_pictures(folder, 1)
    before = sorted(root.rglob("*"))
    assert inspect(root, "s1", str(folder / names[0])).exit_code == 0
    assert sorted(root.rglob("*")) == before


def test_what_is_known_of_the_part_stands_in_the_answer(root: Path) -> None:
    folder = root / "calibration" / "s1" / "frames"
    names = write_pictures(folder, 1)
    options = ("--product", "strip", "--lot", "L7", "--part-id", "P-1", "--at", "2026-01-01")
    line = json.loads(inspect(root, "s1", str(folder / names[0]), *options).stdout)
    assert (line["product"], line["lot"], line["part_id"]) == ("strip", "L7", "P-1")
    assert line["label"] in line["posterior"]["frame"]


def test_reports_can_be_left_out_where_the_encoder_is_not_there(root: Path) -> None:
    settings = write_station(root, reports="max_reports = 2")
    names = write_pictures(settings.folder / "frames", 1)
    picture = str(settings.folder / "frames" / names[0])
    refused = inspect(root, "s1", picture)
    assert refused.exit_code == 1
    assert "inspector reports prepare" in refused.stderr
    assert json.loads(inspect(root, "s1", picture, "--no-reports").stdout)["reports"] == []


def test_an_unknown_station_is_refused_with_a_suggestion(root: Path) -> None:
    done = inspect(root, "s11", "a.png")
    assert done.exit_code == 1
    assert "there is no such file; did you mean 's1'?" in done.stderr


def test_an_unknown_product_is_a_review_with_its_reason(root: Path) -> None:
    folder = root / "calibration" / "s1" / "frames"
    names = write_pictures(folder, 1)
    line = json.loads(inspect(root, "s1", str(folder / names[0]), "--product", "nut").stdout)
    assert line["evaluation"] == "Undefined"
    assert "product 'nut' is not one of this station's products screw, strip" in line["reason"]


def test_a_model_that_is_not_there_is_named(root: Path) -> None:
    (root / "models" / "tiny").unlink()
    done = inspect(root, "s1", "a.png")
    assert done.exit_code == 1
    assert "model.toml: there is no such model" in done.stderr


def test_without_a_picture_the_usage_is_told(root: Path) -> None:
    assert inspect(root, "s1").exit_code == 2
