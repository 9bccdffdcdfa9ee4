from pathlib import Path

import pytest

from inspector.training.listing import Listed, Split, list_pictures
from inspector.training.remarks import Remarks
from tests.pictures_kit import LABELS, lay

SIDES: tuple[Split, ...] = ("train", "val")


def read(folder: Path, wanted: tuple[Split, ...] = SIDES) -> tuple[list[Listed], list[str]]:
    remarks = Remarks()
    return list_pictures(folder, wanted, LABELS, {}, remarks), [remark.text for remark in remarks.notes + remarks.refusals]


def test_every_kind_of_picture_is_found_also_deeper_down(tmp_path: Path) -> None:
    files = ["train/ok/a.png", "train/ok/b.JPG", "train/ok/c.tiff", "train/ok/part-1/left/d.bmp", "val/dent/e.webp", "val/dent/f.TIF"]
    lay(tmp_path, dict.fromkeys(files, 1))
    found, told = read(tmp_path)
    assert [one.file for one in found] == files
    assert found[3].folders == ("part-1", "left")
    assert told == []


@pytest.mark.parametrize("names", [("train", "val"), ("Train", "VAL"), ("train", "valid"), ("train", "validation")])
def test_sides_go_by_their_usual_names(tmp_path: Path, names: tuple[str, str]) -> None:
    lay(tmp_path, {f"{names[0]}/ok/a.png": 1, f"{names[1]}/ok/b.png": 2, "test/ok/c.png": 3})
    assert sorted(one.split or "" for one in read(tmp_path)[0]) == ["train", "val"]


def test_without_sides_the_folders_are_labels_and_test_stays_apart(tmp_path: Path) -> None:
    lay(tmp_path, {"ok/a.png": 1, "dent/b.png": 2, "test/ok/c.png": 3})
    assert [(one.label, one.split) for one in read(tmp_path)[0]] == [("dent", None), ("ok", None)]
    assert [(one.label, one.split) for one in read(tmp_path, ("test",))[0]] == [("ok", "test")]


def test_what_is_no_picture_is_passed_over_and_counted(tmp_path: Path) -> None:
    lay(tmp_path, {"train/ok/a.png": 1, "train/loose.png": 2, "val/ok/b.png": 3})
    for name in (
        "train/ok/notes.txt",
        "train/ok/c.heic",
        "train/ok/d.heic",
        "train/ok/._a.png",
        "train/.cache/x.png",
        "train/ok/.thumbs/y.png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found, told = read(tmp_path)
    assert [one.file for one in found] == ["train/ok/a.png", "val/ok/b.png"]
    assert any("1 pictures lie in no label folder" in line and "loose.png" in line for line in told)
    assert any("2 .heic, 1 .txt" in line for line in told)


def test_a_linked_label_folder_is_read(tmp_path: Path) -> None:
    lay(tmp_path / "elsewhere", {"a.png": 1})
    (tmp_path / "data" / "train").mkdir(parents=True)
    (tmp_path / "data" / "train" / "ok").symlink_to(tmp_path / "elsewhere")
    assert [one.file for one in read(tmp_path / "data")[0]] == ["train/ok/a.png"]
