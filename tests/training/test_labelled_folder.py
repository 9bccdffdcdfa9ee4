import os
import random
import re
import struct
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from inspector.core.label import LabelSet
from inspector.errors import DataError
from inspector.training.groups import ByLevel, ByPattern, NoGroups
from inspector.training.labelled_folder import Labelled, read_labelled
from inspector.training.picture import read_rgb
from tests.pictures_kit import LABELS, lay, part_folders, write_json
from tests.station_kit import picture

BY_PART = ByPattern(re.compile(r"(\d+)_.*"))


def stored(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return what a file holds, in OpenCV's order of colours."""
    return np.asarray(cv2.imread(str(path)), np.uint8)


def names(labelled: Labelled, split: str) -> list[str]:
    return [p.path.name for p in labelled.pictures if p.split == split]


def both_sides(folder: Path) -> Path:
    """Thirty parts in train/, nine others in val/."""
    return lay(folder, part_folders("train", range(30)) | part_folders("val", range(30, 39)))


def refused(folder: Path, groups: ByPattern | NoGroups | ByLevel | None = BY_PART, labels: LabelSet = LABELS) -> DataError:
    with pytest.raises(DataError) as error:
        read_labelled(folder, labels, groups=groups)
    return error.value


def test_given_sides_are_kept_and_each_picture_has_its_part(tmp_path: Path) -> None:
    labelled = read_labelled(both_sides(tmp_path), LABELS, groups=BY_PART)
    assert (len(labelled.of("train")), len(labelled.of("val"))) == (60, 18)
    first = labelled.pictures[0]
    assert (first.path.name, first.label, first.split, first.group) == ("001_left.png", "dent", "train", "001")
    assert labelled.notes == ()


def test_a_test_picture_is_opened_only_when_test_is_asked_for(tmp_path: Path) -> None:
    folder = both_sides(tmp_path)
    lay(folder, {"test/ok/900_a.png": 900})
    broken = folder / "test" / "ok" / "901_a.png"
    broken.write_bytes(b"")
    assert not any("90" in note for note in read_labelled(folder, LABELS, groups=BY_PART).notes)
    with pytest.raises(DataError, match=r"test/ok/901_a\.png: the file is empty"):
        read_labelled(folder, LABELS, groups=BY_PART, split="test")
    broken.unlink()
    tested = read_labelled(folder, LABELS, groups=BY_PART, split="test")
    assert [p.path.name for p in tested.pictures] == ["900_a.png"]


def test_a_tested_part_may_not_have_been_learnt_from(tmp_path: Path) -> None:
    folder = lay(both_sides(tmp_path), {"test/ok/007_a.png": 900})
    with pytest.raises(DataError, match="group '007' stands in"):
        read_labelled(folder, LABELS, groups=BY_PART, split="test")


def test_one_side_alone_is_the_same_as_that_side_of_both(tmp_path: Path) -> None:
    folder = lay(tmp_path, part_folders("", range(40)))
    both = read_labelled(folder, LABELS, groups=BY_PART)
    for split in ("train", "val"):
        one = read_labelled(folder, LABELS, groups=BY_PART, split=split)
        assert names(one, split) == names(both, split)
        assert len(one.pictures) == len(names(both, split))
        assert one.data_hash == both.data_hash


def test_unsplit_folders_are_split_by_part_with_every_label_on_both_sides(tmp_path: Path) -> None:
    labelled = read_labelled(lay(tmp_path, part_folders("", range(60))), LABELS, groups=BY_PART)
    sides = defaultdict(set)
    for p in labelled.pictures:
        sides[p.group].add(p.split)
    assert all(len(found) == 1 for found in sides.values())
    assert 0.15 < len(labelled.of("val")) / len(labelled.pictures) < 0.25
    assert {p.label for p in labelled.of("val")} == {p.label for p in labelled.of("train")} == set(LABELS.names)


def test_train_without_val_is_split_and_says_so(tmp_path: Path) -> None:
    labelled = read_labelled(lay(tmp_path, part_folders("train", range(30))), LABELS, groups=BY_PART)
    assert labelled.of("val")
    assert "there is no val/" in labelled.notes[0]


def test_nothing_said_about_parts_is_refused_with_the_reason_and_the_ways_out(tmp_path: Path) -> None:
    message = str(refused(both_sides(tmp_path), None))
    for words in ("recognises the part instead of the defect", "--groups-csv", "--group-pattern", "--group-level", "--no-groups"):
        assert words in message


def test_a_part_on_both_sides_is_refused_by_name_and_files(tmp_path: Path) -> None:
    message = str(refused(lay(both_sides(tmp_path), {"val/ok/003_top.png": 99})))
    assert "group '003' stands in train and in val (train/ok/003_left.png and val/ok/003_top.png)" in message


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    folder = lay(
        both_sides(tmp_path), {"train/Dent/400_a.png": 400, "train/ok/odd.png": 401, "val/ok/000_x.png": 402, "train/rust/403_a.png": 0}
    )
    message = str(refused(folder))
    for words in ("label 'Dent'", "odd.png: the name does not match", "group '000' stands in", "are the same picture"):
        assert words in message


def test_single_broken_files_are_left_out_and_named(tmp_path: Path) -> None:
    folder = both_sides(tmp_path)
    whole = cv2.imencode(".jpg", picture(500))[1].tobytes()
    for name, content in {"500_a.png": b"", "501_a.jpg": whole[: len(whole) // 2], "502_a.png": b"This is a text file"}.items():
        (folder / "train" / "ok" / name).write_bytes(content)
    labelled = read_labelled(folder, LABELS, groups=BY_PART)
    assert len(labelled.pictures) == 78
    told = "\n".join(labelled.notes)
    assert "train/ok/500_a.png: the file is empty (0 bytes); left out" in told
    assert "train/ok/501_a.jpg: truncated" in told
    assert "train/ok/502_a.png: not a picture" in told


def test_many_broken_files_are_refused(tmp_path: Path) -> None:
    folder = both_sides(tmp_path)
    for number in range(5):
        (folder / "train" / "ok" / f"{600 + number}_a.png").write_bytes(b"")
    message = str(refused(folder))
    assert "5 of 83 pictures (6 %) cannot be used" in message
    assert "train/ok/604_a.png" in message


def test_a_picture_of_another_size_than_annotated_is_left_out(tmp_path: Path) -> None:
    files = part_folders("train", range(30)) | part_folders("val", range(30, 39))
    lay(tmp_path, files)
    images = [{"file": f, "label": f.split("/")[1], "group": f[-12:-9], "width": 32, "height": 24} for f in files]
    images[4]["width"] = 640
    write_json(tmp_path / "annotations.json", {"images": images})
    labelled = read_labelled(tmp_path, LABELS, groups=None)
    assert len(labelled.pictures) == 77
    assert labelled.notes == (
        f"{images[4]['file']}: is 32 x 24 pixels, the annotation says 640 x 24: they do not belong together; left out",
    )


def test_a_turned_picture_may_be_annotated_upright_or_as_stored(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    images = []
    for number, size in enumerate([(24, 32), (32, 24)] * 10):
        file = f"{'val' if number > 15 else 'train'}/{'ok' if number % 4 < 2 else 'dent'}/{number}.jpg"
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(picture(number, 24, 32)).save(tmp_path / file, exif=exif)
        images.append({"file": file, "label": file.split("/")[1], "group": str(number), "width": size[0], "height": size[1]})
    write_json(tmp_path / "annotations.json", {"images": images})
    labelled = read_labelled(tmp_path, LabelSet(("ok", "dent"), "ok"), groups=None)
    assert len(labelled.pictures) == 20
    assert read_rgb(labelled.pictures[0].path).shape == (32, 24, 3)


def test_a_double_is_kept_once_and_on_the_side_of_train(tmp_path: Path) -> None:
    folder = both_sides(tmp_path)
    same = (folder / "train/ok/000_left.png").read_bytes()
    (folder / "val/ok/700_a.png").write_bytes(same)
    (folder / "train/ok/701_a.bmp").write_bytes(cv2.imencode(".bmp", stored(folder / "train/ok/000_left.png"))[1].tobytes())
    labelled = read_labelled(folder, LABELS, groups=BY_PART)
    assert len(labelled.pictures) == 78
    assert sorted(labelled.notes) == [
        "train/ok/701_a.bmp: the same picture as train/ok/000_left.png; kept once",
        "val/ok/700_a.png: the same file as train/ok/000_left.png; kept once",
    ]


def test_a_double_with_two_labels_is_refused_with_both_names(tmp_path: Path) -> None:
    message = str(refused(lay(both_sides(tmp_path), {"val/dent/800_a.png": 0})))
    assert "train/ok/000_left.png (ok) and val/dent/800_a.png (dent) are the same picture; remove the wrong one" in message


def near(folder: Path, source: str, target: str) -> None:
    """Save a picture anew as a poor JPEG."""
    cv2.imwrite(str(folder / target), stored(folder / source), [cv2.IMWRITE_JPEG_QUALITY, 60])


def test_a_near_double_across_the_sides_is_told_with_both_names(tmp_path: Path) -> None:
    folder = both_sides(tmp_path)
    near(folder, "train/ok/000_left.png", "val/ok/900_a.jpg")
    labelled = read_labelled(folder, LABELS, groups=BY_PART)
    assert len(labelled.pictures) == 79
    assert labelled.notes[0].startswith("val/ok/900_a.jpg: nearly the same picture as train/ok/000_left.png")


def test_without_groups_near_doubles_never_stand_on_both_sides(tmp_path: Path) -> None:
    folder = lay(tmp_path / "unsplit", part_folders("", range(30)))
    for number in range(30):
        label = LABELS.names[number % 3]
        near(folder, f"{label}/{number:03d}_left.png", f"{label}/again-{number:03d}.jpg")
    labelled = read_labelled(folder, LABELS, groups=NoGroups())
    split_of = {p.path.name: p.split for p in labelled.pictures}
    assert all(split_of[f"{number:03d}_left.png"] == split_of[f"again-{number:03d}.jpg"] for number in range(30))
    assert "60 pictures look like another one; they were joined into 30 groups" in labelled.notes
    given = both_sides(tmp_path / "given")
    near(given, "train/ok/000_left.png", "val/ok/900_a.jpg")
    labelled = read_labelled(given, LABELS, groups=NoGroups())
    assert "900_a.jpg" not in names(labelled, "val")
    assert any("val/ok/900_a.jpg: looks like a picture of train; left out of val" in note for note in labelled.notes)


def test_pictures_that_all_look_alike_are_told_to_need_groups(tmp_path: Path) -> None:
    base, rng = picture(1, 48, 64), np.random.default_rng(1)
    for number in range(12):
        path = tmp_path / ("ok" if number % 2 else "dent") / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        image = picture(number + 50, 48, 64) if number >= 10 else np.clip(base + rng.normal(0, 2, base.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(path), image)
    message = "\n".join(read_labelled(tmp_path, LabelSet(("ok", "dent"), "ok"), groups=NoGroups(), split="train").notes)
    assert "10 of 12 pictures look like" in message
    assert "--no-groups is too rough here" in message


def test_a_picture_is_told_once_however_many_it_looks_like(tmp_path: Path) -> None:
    folder = both_sides(tmp_path)
    near(folder, "train/ok/000_left.png", "val/ok/900_a.jpg")
    near(folder, "val/ok/900_a.jpg", "train/ok/901_a.jpg")
    assert len(read_labelled(folder, LABELS, groups=BY_PART).notes) == 1


def test_too_little_to_check_with_is_told(tmp_path: Path) -> None:
    files = {f"ok/{part}_{number}.png": 100 * part + number for part in range(3) for number in (range(29) if part else range(1))}
    notes = read_labelled(lay(tmp_path, files), LABELS, groups=BY_PART, needed=["ok"]).notes
    assert any("only 1 of 59 pictures are kept to check with" in note for note in notes)


@pytest.mark.parametrize(("missing", "needed", "fails"), [("rust", None, True), ("rust", ["ok"], False), ("ok", ["ok"], True)])
def test_a_needed_label_without_a_picture_is_refused(tmp_path: Path, missing: str, needed: list[str] | None, fails: bool) -> None:
    folder = lay(
        tmp_path, {f: s for f, s in (part_folders("train", range(40)) | part_folders("val", range(40, 60))).items() if missing not in f}
    )
    if fails:
        with pytest.raises(DataError, match=f"label '{missing}' has no picture in train"):
            read_labelled(folder, LABELS, groups=BY_PART, needed=needed)
    else:
        read_labelled(folder, LABELS, groups=BY_PART, needed=needed)


def test_a_label_with_few_pictures_or_none_to_check_with_is_noted(tmp_path: Path) -> None:
    files = part_folders("train", range(30), ("ok", "dent")) | part_folders("val", range(40, 46), ("ok", "dent"))
    notes = read_labelled(lay(tmp_path, files | {"train/rust/700_a.png": 700}), LABELS, groups=BY_PART).notes
    assert any("label 'rust' has 1 picture to learn from" in note for note in notes)
    assert any("label 'rust' has no picture in val" in note for note in notes)


def test_labels_are_renamed_to_those_of_the_station(tmp_path: Path) -> None:
    files = part_folders("train", range(30), ("functional", "probably")) | part_folders("val", range(30, 36), ("functional", "cracked"))
    files |= part_folders("train", range(40, 50), ("cracked",))
    renames = {"functional": "ok", "probably": "ok", "cracked": "dent"}
    labelled = read_labelled(lay(tmp_path, files), LabelSet(("ok", "dent"), "ok"), groups=BY_PART, renames=renames)
    assert {p.label for p in labelled.pictures} == {"ok", "dent"}
    assert len(labelled.pictures) == len(files)


def test_the_hash_knows_content_label_and_group_but_not_order_or_place(tmp_path: Path) -> None:
    files = part_folders("", range(20))
    shuffled = list(files.items())
    random.Random(1).shuffle(shuffled)  # noqa: S311 - no secret
    one = read_labelled(lay(tmp_path / "a", files), LABELS, groups=BY_PART)
    other = read_labelled(lay(tmp_path / "b", dict(shuffled)), LABELS, groups=BY_PART)
    assert one.data_hash == other.data_hash
    assert [(p.path.name, p.split) for p in one.pictures] == [(p.path.name, p.split) for p in other.pictures]
    by_side = read_labelled(tmp_path / "a", LABELS, groups=ByPattern(re.compile(r"\d+_(.*)\.png")))
    lay(tmp_path / "b", {"ok/000_left.png": 999})
    changed = read_labelled(tmp_path / "b", LABELS, groups=BY_PART)
    assert len({one.data_hash, by_side.data_hash, changed.data_hash}) == 3


def test_the_order_of_an_annotation_file_changes_nothing(tmp_path: Path) -> None:
    files = part_folders("", range(20))
    lay(tmp_path, files)
    images = [{"file": f, "label": f.split("/")[0], "group": f.split("/")[1][:3]} for f in files]
    found = []
    for rows in (images, images[::-1]):
        write_json(tmp_path / "annotations.json", {"images": rows})
        found.append(read_labelled(tmp_path, LABELS, groups=None))
    assert [(p.path, p.split) for p in found[0].pictures] == [(p.path, p.split) for p in found[1].pictures]
    assert found[0].data_hash == found[1].data_hash


def test_the_whole_list_is_written_and_the_message_stays_short(tmp_path: Path) -> None:
    folder = both_sides(tmp_path / "data")
    for number in range(40):
        (folder / "train" / "ok" / f"{600 + number}_a.png").write_bytes(b"")
    lay(folder, {"train/Rust/700_a.png": 700})
    with pytest.raises(DataError) as error:
        read_labelled(folder, LABELS, groups=BY_PART, work=tmp_path / "run")
    lines = str(error.value).splitlines()
    assert len(lines) < 26
    assert any("label 'Rust'" in line for line in lines), "one kind of fault may not hide another"
    assert any("... and" in line for line in lines)
    whole = (tmp_path / "run" / "pictures.txt").read_text(encoding="utf-8")
    assert whole.count("the file is empty") == 40
    assert str(tmp_path / "run" / "pictures.txt") in lines[-1]


def test_a_second_reading_opens_only_what_has_changed(tmp_path: Path) -> None:
    folder, work = both_sides(tmp_path / "data"), tmp_path / "run"
    first = read_labelled(folder, LABELS, groups=BY_PART, work=work)
    silent = folder / "train/ok/000_left.png"
    status = silent.stat()
    silent.write_bytes(b"x" * status.st_size)  # another content under the same size and time is not looked at
    os.utime(silent, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert read_labelled(folder, LABELS, groups=BY_PART, work=work).data_hash == first.data_hash
    os.utime(silent, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert "train/ok/000_left.png: not a picture" in read_labelled(folder, LABELS, groups=BY_PART, work=work).notes[0]


def test_a_broken_cache_is_made_anew(tmp_path: Path) -> None:
    folder, work = both_sides(tmp_path / "data"), tmp_path / "run"
    first = read_labelled(folder, LABELS, groups=BY_PART, work=work)
    cache = next(work.glob("pictures-*.npz"))
    for content in (b"", b"PK\x03\x04 half", cache.read_bytes()[:2000]):
        cache.write_bytes(content)
        assert read_labelled(folder, LABELS, groups=BY_PART, work=work).data_hash == first.data_hash


def test_what_the_cameras_decode_is_what_training_sees(tmp_path: Path) -> None:
    image = picture(3, 24, 32)
    cv2.imwrite(str(tmp_path / "deep.png"), image.astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / "grey.png"), image[:, :, 0])
    cv2.imwrite(str(tmp_path / "clear.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGRA))
    for name in ("deep.png", "grey.png", "clear.png"):
        seen = read_rgb(tmp_path / name)
        assert seen.shape == (24, 32, 3)
        assert seen.dtype == np.uint8
        assert not seen.flags.writeable
    assert np.array_equal(read_rgb(tmp_path / "deep.png")[:, :, ::-1], image)


def test_a_picture_that_declares_a_billion_pixels_is_refused_unopened(tmp_path: Path) -> None:
    folder = both_sides(tmp_path)
    bomb = bytearray((folder / "train/ok/000_left.png").read_bytes())
    bomb[16:24] = struct.pack(">II", 40_000, 40_000)
    (folder / "train/ok/999_a.png").write_bytes(bytes(bomb))
    assert "declares 40000 x 40000 pixels" in read_labelled(folder, LABELS, groups=BY_PART).notes[0]


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    assert "is no folder" in str(refused(tmp_path / "absent"))


def test_a_folder_without_pictures_says_what_was_expected(tmp_path: Path) -> None:
    assert "expected annotations.json, COCO, or folders such as train/<label>/a.jpg" in str(refused(tmp_path))
