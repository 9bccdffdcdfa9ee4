"""Kept pictures: which, where, and what a disk that refuses them means."""

from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.core.frame import Frame, Image
from inspector.core.inspection import Inspection
from inspector.edge.pictures import PictureStore
from inspector.errors import LogError
from inspector.settings import LogSection
from tests.edge.conftest import MakeInspection
from tests.station_kit import picture


def frame(image: Image) -> Frame:
    return Frame("cell-3", "top", "f1", datetime(2026, 3, 1, tzinfo=UTC), 0, image)


@pytest.mark.parametrize(
    ("rule", "kept"),
    [("none", set()), ("fail", {"fail"}), ("review", {"fail", "review"}), ("all", {"pass", "fail", "review"})],
)
def test_the_rule_says_which_pictures_are_kept(tmp_path: Path, make_inspection: MakeInspection, rule: str, kept: set[str]) -> None:
    store = PictureStore(tmp_path, LogSection(keep_images=rule))  # type: ignore[arg-type]
    wanted = {kind for kind in ("pass", "fail", "review") if store.wants(make_inspection(disposition=kind), frame(picture(1)))}
    assert wanted == kept


def test_a_fault_without_a_picture_has_none_to_keep(tmp_path: Path, make_inspection: MakeInspection) -> None:
    store = PictureStore(tmp_path, LogSection(keep_images="all"))
    assert not store.wants(make_inspection(disposition="review"), frame(np.zeros((0, 0, 3), np.uint8)))


def test_a_kept_picture_lies_under_its_day_and_shows_what_the_camera_saw(tmp_path: Path, make_inspection: MakeInspection) -> None:
    image, judged = picture(1), make_inspection(disposition="fail")
    path = PictureStore(tmp_path, LogSection()).keep(judged, frame(image))
    assert path == f"images/2026-03-01/{judged.inspection_id}.jpg"
    found = cv2.imread(str(tmp_path / path), cv2.IMREAD_COLOR_RGB)
    assert found is not None
    assert np.abs(found.astype(int) - image).mean() < 4, "colours are not exchanged"


def test_a_disk_that_refuses_a_picture_is_named_with_the_cure(tmp_path: Path, make_inspection: MakeInspection) -> None:
    (tmp_path / "images").write_text("in the way")
    with pytest.raises(LogError, match=r"the picture cannot be kept: .*set log\.keep_images to none"):
        PictureStore(tmp_path, LogSection()).keep(make_inspection(), frame(picture(1)))


def test_a_picture_that_was_cut_short_is_removed_again(
    tmp_path: Path, make_inspection: MakeInspection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as stream:
            stream.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(LogError, match="No space left"):
        PictureStore(tmp_path, LogSection()).keep(make_inspection(), frame(picture(1)))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_picture_that_no_jpeg_can_hold_is_refused_by_its_size(tmp_path: Path, make_inspection: MakeInspection) -> None:
    judged: Inspection = make_inspection()
    with pytest.raises(LogError, match="70000 x 1 pixels cannot be encoded as JPEG"):
        PictureStore(tmp_path, LogSection()).keep(judged, frame(np.full((1, 70_000, 3), 90, np.uint8)))
