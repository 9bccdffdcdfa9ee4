"""Reviewed pictures as labelled ones: the label signed last, a group each, beside the folder's own."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from inspector.core.review import Review
from inspector.edge.instants import now
from inspector.edge.log import Log, database_path
from inspector.edge.settling import Settled
from inspector.settings import StationSettings
from inspector.training.groups import NoGroups
from inspector.training.labelled_folder import read_labelled
from inspector.training.listing import Listed
from inspector.training.listing.reviewed import among, list_reviewed
from tests.dashboard.kit import fill, judged, save
from tests.station_kit import write_station

START = datetime(2026, 3, 1, 8, tzinfo=UTC)


@pytest.fixture
def station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StationSettings:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    return write_station(tmp_path, "s1")


def review(settings: StationSettings, root: Path, number: int, label: str | None, minutes: int = 0, **changes: object) -> None:
    """Judge a part unless it is judged, and sign a review of it."""
    path = database_path(settings, root)
    inspection = judged(settings.name, number, "review", START + timedelta(seconds=number), **changes)  # type: ignore[arg-type] # whatever a test changes
    fill(settings, root, [inspection], with_pictures=False)
    kept = path.parent / "reviewed" / "s1" / f"{inspection.inspection_id}.jpg"
    kept.parent.mkdir(parents=True, exist_ok=True)
    save(kept, number)
    at = now() + timedelta(minutes=minutes)
    signed = Review(str(uuid.uuid4()), "s1", inspection.inspection_id, "mei", at, label, box_px=(1, 2, 30, 40))
    with Log(path, settings.name) as log:
        logged = log.get(inspection.inspection_id)
        assert logged is not None
        log.settle(Settled(signed, logged, settings.products["screw"].label_set(), str(kept.relative_to(path.parent))))


def test_a_station_without_a_log_has_no_reviewed_pictures(station: StationSettings, tmp_path: Path) -> None:
    assert list_reviewed(database_path(station, tmp_path), "s1", "screw") == []


def test_the_label_that_was_signed_last_counts_and_what_cannot_be_told_is_left_out(station: StationSettings, tmp_path: Path) -> None:
    review(station, tmp_path, 1, "scale")
    review(station, tmp_path, 1, "good", 1)
    review(station, tmp_path, 2, "scale")
    review(station, tmp_path, 2, None, 1)
    review(station, tmp_path, 3, "scale_pit")
    found = list_reviewed(database_path(station, tmp_path), "s1", "screw")
    assert [(picture.label, picture.group) for picture in found] == [("good", "P-1"), ("scale_pit", "P-3")]
    assert found[0].entry == {"boxes": [{"bbox": [1, 2, 30, 40], "class": "good"}]}
    assert list_reviewed(database_path(station, tmp_path), "s1", "strip") == []


def test_a_part_without_a_number_is_grouped_by_lot_and_without_one_by_camera_and_day(station: StationSettings, tmp_path: Path) -> None:
    review(station, tmp_path, 1, "scale", part_id=None)
    review(station, tmp_path, 2, "scale", part_id=None, lot=None)
    groups = [picture.group for picture in list_reviewed(database_path(station, tmp_path), "s1", "screw")]
    assert groups == ["lot L1", "line 2026-03-01"]


def test_where_the_folder_has_sides_a_reviewed_picture_is_learnt_from_unless_its_part_is_checked_with() -> None:
    def listed(name: str, split: str | None = None) -> Listed:
        return Listed(name, Path(name), "good", split=split, group=name[0])  # type: ignore[arg-type] # a split's name

    found = among([listed("a1", "train"), listed("b1", "val")], [listed("b2"), listed("c1")])
    assert [picture.split for picture in found] == ["train", "val", "val", "train"]
    assert [picture.split for picture in among([listed("a1")], [listed("b2")])] == [None, None]


def test_training_reads_them_beside_its_folder(station: StationSettings, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for label, first in (("good", 20), ("scale", 40)):
        (data / label).mkdir(parents=True)
        for number in range(first, first + 6):
            save(data / label / f"{number}.png", number)
    for number in range(60, 64):
        review(station, tmp_path, number, "scale")
    reviewed = list_reviewed(database_path(station, tmp_path), "s1", "screw")
    labels = station.products["screw"].label_set()
    alone = read_labelled(data, labels, groups=NoGroups(), needed=("good", "scale"))
    both = read_labelled(data, labels, groups=NoGroups(), needed=("good", "scale"), reviewed=reviewed)
    assert len(both.pictures) == len(alone.pictures) + 4
    assert both.data_hash != alone.data_hash
    found = [picture for picture in both.pictures if picture.group.startswith("P-")]
    assert {(picture.label, picture.lot is not None, picture.taken_at is not None) for picture in found} == {("scale", True, True)}
