"""Training pictures: what is read, what is refused, what is kept."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from inspector.errors import DataError
from inspector.training.dataset import Augmentation, read_pictures, read_rgb, trunk_features, varied
from tests.conftest import Tiny
from tests.station_kit import picture

LABELS = ("good", "dent")


def entry(file: str, label: str = "good", group: str = "", **more: Any) -> dict[str, Any]:
    return {"file": file, "label": label, "group": group or file, **more}


SOUND = (entry("train/a.png"), entry("train/b.png", "dent"), entry("val/c.png"))


def listed(folder: Path, entries: Sequence[dict[str, Any]]) -> Path:
    """Write the pictures that are listed, and the list."""
    for number, row in enumerate(entries):
        path = folder / row["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture(number))
    (folder / "annotations.json").write_text(json.dumps({"images": list(entries)}), encoding="utf-8")
    return folder


def test_class_folders_are_read_and_test_is_left_alone(tmp_path: Path) -> None:
    for place in ("train/good/a.png", "train/dent/b.JPG", "val/good/c.png", "test/good/d.png", "train/good/notes.txt"):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", picture(1))[1].tobytes())
    found = [(p.split, p.label, p.path.name) for p in read_pictures(tmp_path, LABELS)]
    assert found == [("train", "dent", "b.JPG"), ("train", "good", "a.png"), ("val", "good", "c.png")]


def test_an_annotated_test_picture_is_never_read(tmp_path: Path) -> None:
    folder = listed(tmp_path, [*SOUND, entry("test/d.png", "a label that nobody knows", "a.png")])
    assert {p.split for p in read_pictures(folder, LABELS)} == {"train", "val"}


def test_a_test_picture_cannot_come_in_by_a_detour(tmp_path: Path) -> None:
    listed(tmp_path, [*SOUND, entry("test/d.png")])
    (tmp_path / "annotations.json").write_text(json.dumps({"images": [*SOUND, entry("train/../test/d.png")]}), encoding="utf-8")
    with pytest.raises(DataError, match="leaves its folder"):
        read_pictures(tmp_path, LABELS)


def test_a_group_on_both_sides_is_refused_by_name(tmp_path: Path) -> None:
    folder = listed(tmp_path, [*SOUND, entry("train/p1.png", group="plate-7"), entry("val/p2.png", group="plate-7")])
    with pytest.raises(DataError, match="group 'plate-7' stands in train and in val"):
        read_pictures(folder, LABELS)


def test_an_unknown_label_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"label 'rust' \(1 picture\) is not one of the product's labels; known are good, dent"):
        read_pictures(listed(tmp_path, [*SOUND, entry("train/x.png", "rust")]), LABELS)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (SOUND[:1] + SOUND[2:], "label 'dent' has no picture in train"),
        (SOUND[:2], "there is no picture in val"),
        (SOUND[2:], "there is no picture in train"),
        ((), "there is no picture in train; expected annotations.json"),
    ],
)
def test_a_split_that_cannot_be_learnt_from_is_refused(tmp_path: Path, entries: Sequence[dict[str, Any]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_pictures(listed(tmp_path, entries), LABELS)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"images": [{"file": "train/a.png"}]}', '{"images": [7]}', '{"pictures": []}'])
def test_annotations_that_cannot_be_read_are_refused_by_file(tmp_path: Path, text: str) -> None:
    listed(tmp_path, SOUND)
    (tmp_path / "annotations.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"annotations\.json: (cannot be read|images\[0\]: )"):
        read_pictures(tmp_path, LABELS)


def test_an_annotated_picture_that_is_missing_is_named(tmp_path: Path) -> None:
    (listed(tmp_path, SOUND) / "train" / "b.png").unlink()
    with pytest.raises(DataError, match=r"train/b\.png: annotations\.json names this picture"):
        read_pictures(tmp_path, LABELS)


@pytest.mark.parametrize(
    ("time", "instant"),
    [
        ("2020-08-28T11:00:14", datetime(2020, 8, 28, 11, 0, 14, tzinfo=UTC)),
        ("2020-08-28T11:00:14+02:00", datetime(2020, 8, 28, 9, 0, 14, tzinfo=UTC)),
        (None, None),
    ],
)
def test_an_instant_is_read_as_utc(tmp_path: Path, time: str | None, instant: datetime | None) -> None:
    folder = listed(tmp_path, [entry("train/t.png", meta={"time": time}), *SOUND])
    assert read_pictures(folder, LABELS)[0].taken_at == instant


def test_a_picture_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"a\.png: not a picture"):
        read_rgb(tmp_path / "a.png")


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (64, 40)])
def test_a_varied_picture_is_a_crop_of_the_same_kind(shape: tuple[int, int]) -> None:
    rng, how = np.random.default_rng(1), Augmentation(flip_x=True, flip_y=True, crop=0.5, light=0.3)
    for number in range(20):
        copy = varied(picture(number, *shape), how, rng)
        assert copy.dtype == np.uint8
        assert 1 <= copy.shape[0] <= shape[0]
        assert 1 <= copy.shape[1] <= shape[1]


def test_features_are_computed_once_and_the_first_copy_is_the_picture_as_it_is(tmp_path: Path, tiny: Tiny) -> None:
    pictures = read_pictures(listed(tmp_path / "pictures", SOUND), LABELS)
    cache = tmp_path / "cache"
    first = trunk_features(tiny.trunk, pictures, 64, Augmentation(), 3, 1, cache)
    files = {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}
    again = trunk_features(tiny.trunk, pictures, 64, Augmentation(), 3, 1, cache)
    plain = trunk_features(tiny.trunk, pictures, 64, None, 1, 1, cache)
    assert first.shape == (3, 3, 272, 4, 4)
    assert np.array_equal(first, again)
    assert {name: (cache / name).stat().st_mtime_ns for name in files} == files
    assert len(files) == 1, "nothing half written lies about"
    assert np.allclose(first[:, 0].astype(np.float32), plain[:, 0].astype(np.float32), atol=1e-2)
    assert not np.array_equal(first[:, 0], first[:, 1])
