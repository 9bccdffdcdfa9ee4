"""A reference in camera.toml and beside it; regions in station.toml."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from inspector.core.calibration import CameraCalibration
from inspector.core.scene import SceneReference
from inspector.errors import CalibrationError, SettingsError
from inspector.scene.reference import reference_of
from inspector.settings import read_camera_calibrations, read_station
from inspector.settings.camera_file import write_camera
from inspector.settings.regions_file import box_mistakes, write_regions
from inspector.settings.scene_picture import write_scene
from tests.scene_kit import view
from tests.station_kit import write_station

LENS = "[line]\n# Measured on 12 pictures.\n# Error 0.1 px.\nmm_per_px = 0.5\n"


@pytest.fixture(scope="module")
def reference() -> SceneReference:
    return reference_of([view(number) for number in range(10)], "s1: line").reference


def written(folder: Path, reference: SceneReference) -> SceneReference:
    named = dataclasses.replace(reference, picture=write_scene(folder, "line", reference.grey))
    old = read_camera_calibrations(folder).get("line", CameraCalibration())
    write_camera(folder, "line", dataclasses.replace(old, reference=named))
    return named


def test_a_reference_is_read_as_it_was_written_and_the_lens_keeps_its_story(tmp_path: Path, reference: SceneReference) -> None:
    (tmp_path / "camera.toml").write_text(LENS + "\n[other]\nblur_min = 3.0\n", encoding="utf-8")
    named = written(tmp_path, reference)
    found = read_camera_calibrations(tmp_path)["line"]
    assert found.reference == named
    assert found.reference is not None
    assert np.array_equal(found.reference.grey, reference.grey)
    assert found.mm_per_px == 0.5
    text = (tmp_path / "camera.toml").read_text(encoding="utf-8")
    assert text.startswith(LENS)
    assert "reference.size_px = [960, 540]\n" in text
    assert text.endswith("[other]\nblur_min = 3.0\n")


def test_a_reference_whose_picture_is_wrong_is_refused_by_name(tmp_path: Path, reference: SceneReference) -> None:
    named = written(tmp_path, reference)
    picture, toml = tmp_path / named.picture, tmp_path / "camera.toml"
    text = toml.read_text(encoding="utf-8")
    for broken, message in (
        (text.replace("[960, 540]", "[540, 960]"), "do not go with reference.size_px"),
        (text.replace("reference.tiles = [[", "reference.tiles = [[999, 0], ["), "reference.tiles leave its 320 x 180 pixels"),
        (text.replace("reference.frames", "reference.frame"), "unknown key"),
        (text.replace("reference.moved_px = ", "reference.moved_px = -"), "reference.moved_px"),
    ):
        toml.write_text(broken, encoding="utf-8")
        with pytest.raises(CalibrationError, match=message.replace(".", r"\.")):
            read_camera_calibrations(tmp_path)
    toml.write_text(text, encoding="utf-8")
    picture.write_bytes(b"no picture")
    with pytest.raises(CalibrationError, match="is no picture"):
        read_camera_calibrations(tmp_path)
    picture.unlink()
    with pytest.raises(CalibrationError, match=f"{named.picture}: the reference that camera.toml names is missing"):
        read_camera_calibrations(tmp_path)


def test_regions_are_added_changed_and_removed_and_every_comment_stays(tmp_path: Path) -> None:
    folder = write_station(tmp_path, regions_rim="box_px = [1, 2, 50, 60] # the rim\n# between\n").folder
    path = folder / "station.toml"
    path.write_text("# first line\n" + path.read_text(encoding="utf-8") + "# last line\n", encoding="utf-8")
    for boxes in (
        {"rim": (1, 2, 50, 60), "hub": (10, 10, 40, 40)},
        {"rim": (5, 2, 50, 60), "hub": (10, 10, 40, 40), "left.1": (0, 0, 32, 32)},
        {"hub": (10, 10, 40, 40)},
        {},
        {"new": (0, 0, 100, 100)},
    ):
        write_regions(folder, boxes)
        assert {name: section.box_px for name, section in read_station(folder).regions.items()} == boxes
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# first line\n[station]\n")
        if "rim" in boxes:
            assert "# the rim" in text
            assert "# last line" in text


def test_a_station_without_regions_gets_them_and_nothing_else_changes(tmp_path: Path) -> None:
    folder = write_station(tmp_path).folder
    before = (folder / "station.toml").read_text(encoding="utf-8")
    write_regions(folder, {"rim": (1, 2, 50, 60)})
    assert (folder / "station.toml").read_text(encoding="utf-8").startswith(before)
    write_regions(folder, {})
    assert (folder / "station.toml").read_text(encoding="utf-8").strip() == before.strip()


def test_a_file_with_mistakes_is_not_built_upon(tmp_path: Path) -> None:
    folder = write_station(tmp_path).folder
    wrong = (folder / "station.toml").read_text(encoding="utf-8") + "[nonsense]\n"
    (folder / "station.toml").write_text(wrong, encoding="utf-8")
    with pytest.raises(SettingsError, match="nonsense"):
        write_regions(folder, {"rim": (1, 2, 50, 60)})
    assert (folder / "station.toml").read_text(encoding="utf-8") == wrong


def test_a_box_that_cannot_be_judged_is_named_with_its_reason() -> None:
    assert box_mistakes([("rim", (0, 0, 640, 480)), ("hub", (600, 440, 40, 40))], (640, 480), 32) == []
    for name, box, message in (
        ("rim", (-1, 0, 50, 50), "leaves the picture of 640 x 480"),
        ("rim", (600, 0, 41, 50), "leaves the picture of 640 x 480"),
        ("rim", (0, 0, 50, 31), "too small, width and height must be 32 pixels or more"),
        ("left rim", (0, 0, 50, 50), "a name takes letters, digits"),
        ("", (0, 0, 50, 50), "a name takes letters, digits"),
    ):
        (line,) = box_mistakes([(name, box)], (640, 480), 32)
        assert message in line
    assert "another region of this name" in box_mistakes([("rim", (0, 0, 50, 50)), ("rim", (9, 9, 50, 50))], (640, 480), 32)[0]
