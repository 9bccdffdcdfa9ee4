"""Manifests as people write them, mistakes included."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from inspector.edge.camera.manifest import read_manifest
from inspector.errors import CameraError
from tests.edge.camera.conftest import Opener


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder.with_name("list.csv")
    path.write_bytes(text.encode(encoding))
    return path


def test_frames_carry_what_the_manifest_says_in_its_order(folder: Path, opened: Opener) -> None:
    text = (
        "file,label,product,lot,part_id,recorded_at\n"
        "part10.png,pitting,ball-screw,315,SN-1,2020-08-28T11:00:14\n"
        'part1.png,good,,"丝杠, A",,2020-08-28T11:00:14+02:00\n'
    )
    camera = opened(kind="folder", path=folder, manifest=written(folder, text))
    first, second = camera.read(1.0), camera.read(1.0)
    assert camera.finished
    assert first is not None
    assert second is not None
    assert (first.frame_id, first.product, first.lot, first.part_id) == ("part10.png", "ball-screw", "315", "SN-1")
    assert first.recorded_at == first.history_at == datetime(2020, 8, 28, 11, 0, 14, tzinfo=UTC)
    assert first.captured_at.year > 2020
    assert (second.frame_id, second.product, second.lot, second.part_id) == ("part1.png", None, "丝杠, A", None)
    assert second.recorded_at == datetime(2020, 8, 28, 9, 0, 14, tzinfo=UTC)


def test_a_faulty_picture_keeps_its_part_id(folder: Path, opened: Opener) -> None:
    (folder / "part1.png").write_text("not a picture")
    frame = opened(kind="folder", path=folder, manifest=written(folder, "file,part_id\npart1.png,SN-1\n")).read(1.0)
    assert frame is not None
    assert frame.fault is not None
    assert frame.part_id == "SN-1"


@pytest.mark.parametrize("separator", [";", "\t"])
def test_what_excel_writes_is_read(separator: str, folder: Path) -> None:
    text = "\ufefffile,lot\r\npart1.png,7\r\n\r\npart2.png,8\r\n".replace(",", separator)
    assert [(entry.frame_id, entry.lot) for entry in read_manifest(written(folder, text), folder)] == [
        ("part1.png", "7"),
        ("part2.png", "8"),
    ]


def test_a_picture_in_a_folder_below_is_found(folder: Path) -> None:
    (folder / "good").mkdir()
    (folder / "part1.png").rename(folder / "good" / "part1.png")
    assert read_manifest(written(folder, "file\ngood/part1.png\n"), folder)[0].frame_id == "good/part1.png"


def test_every_mistake_is_reported_with_its_line(folder: Path) -> None:
    text = "file,recorded_at\npart1.png,yesterday\n,2020-01-01\npart7.png,\npart2.png,2020-01-01,extra\npart2.png,2020-01-01\n"
    with pytest.raises(CameraError) as caught:
        read_manifest(written(folder, text), folder)
    message = str(caught.value)
    assert 'line 2: recorded_at is "yesterday", expected an instant such as' in message
    assert "line 3: file is empty" in message
    assert 'line 4: there is no file "part7.png" in' in message
    assert "line 5: more fields than columns" in message
    assert "line 6" not in message


def test_a_long_list_of_mistakes_is_cut(folder: Path) -> None:
    with pytest.raises(CameraError, match=r"\.\.\. and 80 more"):
        read_manifest(written(folder, "file\n" + "gone.png\n" * 100), folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("filename,lot\npart1.png,1\n", 'line 1: there is no column "file"; did you mean "filename"?'),
        ("picture,lot\npart1.png,1\n", "its columns are picture, lot"),
        ("", "its columns are none"),
        ("file,lot\n", "line 2: there is no row"),
        ('file\n"part1.png\n', "not CSV"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_why(text: str, message: str, folder: Path) -> None:
    with pytest.raises(CameraError) as caught:
        read_manifest(written(folder, text), folder)
    assert message in str(caught.value)


def test_another_encoding_is_named_with_its_line(folder: Path) -> None:
    with pytest.raises(CameraError, match="line 2: not UTF-8"):
        read_manifest(written(folder, "file,lot\npart1.png,Fläche\n", "latin-1"), folder)


def test_a_missing_manifest_is_named(folder: Path, opened: Opener) -> None:
    with pytest.raises(CameraError, match=r"cameras\.cam: .*gone\.csv: the manifest cannot be read: No such file"):
        opened(kind="folder", path=folder, manifest=folder / "gone.csv")
