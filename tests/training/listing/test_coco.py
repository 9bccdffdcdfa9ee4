from pathlib import Path
from typing import Any

import pytest

from inspector.core.label import LabelSet
from inspector.training.listing import Listed, Split, list_pictures
from inspector.training.remarks import Remarks
from tests.pictures_kit import LABELS, coco, lay, write_json

SIDES: tuple[Split, ...] = ("train", "val")


def listed(folder: Path, labels: LabelSet = LABELS, renames: dict[str, str] | None = None) -> list[Listed]:
    remarks = Remarks()
    found = list_pictures(folder, SIDES, labels, renames or {}, remarks)
    assert not remarks.refusals
    return found


def refusals(folder: Path, labels: LabelSet = LABELS) -> str:
    remarks = Remarks()
    list_pictures(folder, SIDES, labels, {}, remarks)
    return "\n".join(remark.text for remark in remarks.refusals)


def test_a_pictures_category_is_its_label_and_without_one_it_is_good(tmp_path: Path) -> None:
    lay(tmp_path, {"a.png": 1, "b.png": 2})
    write_json(tmp_path / "coco.json", coco({"a.png": [("dent", 5)], "b.png": []}))
    a, b = listed(tmp_path)
    assert (a.label, b.label) == ("dent", "ok")
    assert (a.split, a.size_px, a.file) == (None, (32, 24), "a.png")
    assert a.entry is not None
    assert a.entry["boxes"] == [{"bbox": [1.0, 1.0, 5.0, 5.0], "class": "dent"}]


@pytest.mark.parametrize(
    ("boxes", "label"),
    [
        ([("dent", 9), ("rust", 2)], "rust"),  # critical before major
        ([("dent", 2), ("scratch", 9)], "scratch"),  # the largest of equals
        ([("scratch", 2), ("dent", 9)], "dent"),
        ([("ok", 30), ("dent", 1)], "dent"),  # a defect before good
        ([("corrosion", 1), ("dent", 9)], "corrosion"),  # by the severity of the label that it stands for
    ],
)
def test_of_several_categories_the_most_severe_counts_then_the_largest(tmp_path: Path, boxes: list[tuple[str, float]], label: str) -> None:
    lay(tmp_path, {"a.png": 1})
    write_json(tmp_path / "coco.json", coco({"a.png": boxes}))
    assert listed(tmp_path, renames={"corrosion": "rust"})[0].label == label


def test_a_picture_without_annotation_is_refused_where_no_label_is_good(tmp_path: Path) -> None:
    lay(tmp_path, {"a.png": 1})
    write_json(tmp_path / "coco.json", coco({"a.png": []}))
    assert "images[0]: has no annotation, and the product has no good label" in refusals(tmp_path, LabelSet(("dent", "rust")))


LAYOUTS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "a file in each side's folder": (
        {"train/_annotations.coco.json": "a.png", "valid/_annotations.coco.json": "b.png", "test/_annotations.coco.json": "c.png"},
        {"train/a.png": "train", "valid/b.png": "val"},
    ),
    "files in annotations/, pictures in folders of their names": (
        {"annotations/instances_train2017.json": "a.png", "annotations/instances_val2017.json": "b.png", "annotations/test.json": "c.png"},
        {"train2017/a.png": "train", "val2017/b.png": "val"},
    ),
    "files named by side, pictures in images/": (
        {"train.json": "a.png", "val.json": "b.png", "test.json": "c.png"},
        {"images/a.png": "train", "images/b.png": "val"},
    ),
    "one file whose names begin with the side": ({"result.json": "train/a.png"}, {"train/a.png": "train"}),
    "annotations.json of COCO": ({"annotations.json": "shots\\a.png"}, {"shots/a.png": ""}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_usual_layouts_are_found_and_test_is_left_alone(tmp_path: Path, layout: str) -> None:
    tables, pictures = LAYOUTS[layout]
    lay(tmp_path, dict.fromkeys(pictures, 1))
    for name, file in tables.items():
        write_json(tmp_path / name, coco({file: [("dent", 3)]}))
    assert {one.file: one.split or "" for one in listed(tmp_path)} == pictures
    assert all(one.path.is_file() for one in listed(tmp_path))


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"annotations": [{"image_id": 7, "category_id": 0, "bbox": [0, 0, 1, 1]}]}, r"annotations[0]: image_id is 7, which is no id"),
        ({"annotations": [{"image_id": 0, "category_id": 9, "bbox": [0, 0, 1, 1]}]}, r"annotations[0]: category_id is 9, which is no id"),
        ({"annotations": [{"image_id": 0, "category_id": 0, "bbox": [0, 0]}]}, r"annotations[0]: not enough values"),
        ({"annotations": [7]}, "annotations[0]: "),
        ({"images": [{"id": 0}], "annotations": []}, "images[0]: the key 'file_name' is missing"),
        ({"images": [{"id": 0, "file_name": "../a.png"}], "annotations": []}, "images[0]: '../a.png' leaves its folder"),
        ({"images": [{"id": 0, "file_name": "C:/a.png"}], "annotations": []}, "images[0]: 'C:/a.png' leaves its folder"),
        ({"images": [{"id": 0, "file_name": "a.png"}] * 2, "annotations": []}, "a.png: is listed twice"),
    ],
)
def test_a_broken_entry_is_refused_by_its_number(tmp_path: Path, extra: dict[str, Any], words: str) -> None:
    lay(tmp_path, {"a.png": 1})
    write_json(tmp_path / "coco.json", coco({"a.png": [("dent", 3)]}, **extra))
    assert words in refusals(tmp_path)


def test_a_json_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text("{", encoding="utf-8")
    assert "labels.json: cannot be read" in refusals(tmp_path)
