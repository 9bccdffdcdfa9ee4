"""The recorder: every verdict in the log, pictures by rule, and a lost picture told once."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from inspector.core.frame import Frame
from inspector.core.inspection import Inspection
from inspector.edge.health.tally import Tally
from inspector.edge.log import Log
from inspector.edge.pictures import PictureStore
from inspector.edge.recorder import Recorder
from inspector.errors import LogError
from inspector.settings import StationSettings
from tests.edge.conftest import MakeInspection
from tests.station_kit import break_log, picture, write_station


@pytest.fixture
def settings(tmp_path: Path) -> StationSettings:
    return write_station(tmp_path, "cell-3", log='keep_images = "all"')


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def recorder(tmp_path: Path, settings: StationSettings, said: list[str]) -> Iterator[Recorder]:
    with Log(tmp_path / "inspector.db", "cell-3") as log:
        yield Recorder(log, None, settings, PictureStore(tmp_path, settings.log), Tally(), said.append)


def judged(make_inspection: MakeInspection, count: int, first: int = 1) -> tuple[list[Frame], list[Inspection]]:
    records = [make_inspection(number) for number in range(first, first + count)]
    captured = datetime(2026, 3, 1, tzinfo=UTC)
    frames = [Frame("cell-3", "top", r.frame_id, captured + timedelta(seconds=1), time.monotonic_ns(), picture(1)) for r in records]
    return frames, records


def test_every_verdict_has_its_row_its_picture_and_its_place_in_the_tally(
    recorder: Recorder, make_inspection: MakeInspection, tmp_path: Path
) -> None:
    recorder.record(*judged(make_inspection, 3))
    rows = list(recorder.log.find())
    assert [row.seq for row in rows] == [1, 2, 3]
    assert all((tmp_path / str(row.image_path)).is_file() for row in rows)
    assert recorder.tally.to_dict({"top": 2, "side": 1})["logged"] == 3
    assert recorder.tally.to_dict({"top": 2, "side": 1})["dropped"] == 3


def test_a_frame_that_was_judged_before_is_neither_logged_nor_counted_nor_kept_again(
    recorder: Recorder, make_inspection: MakeInspection, tmp_path: Path
) -> None:
    frames, records = judged(make_inspection, 2)
    recorder.record(frames, records)
    for path in list(tmp_path.rglob("*.jpg")):
        path.unlink()
    recorder.record(frames, [replace(record, frame_age_ms=99.0) for record in records])
    assert [row.frame_age_ms for row in recorder.log.find()] == [81.25, 81.25]
    assert recorder.tally.logged == 2
    assert not list(tmp_path.rglob("*.jpg"))


def test_a_picture_that_cannot_be_kept_costs_no_verdict_and_is_told_once(
    recorder: Recorder, make_inspection: MakeInspection, tmp_path: Path, said: list[str]
) -> None:
    (tmp_path / "images").write_text("in the way")
    recorder.record(*judged(make_inspection, 3))
    assert [row.image_path for row in recorder.log.find()] == [None, None, None]
    assert [event.kind for event in recorder.log.events()] == ["pictures-lost"]
    (tmp_path / "images").unlink()
    recorder.record(*judged(make_inspection, 2, first=4))
    assert [event.kind for event in recorder.log.events()] == ["pictures-lost", "pictures-back"]
    assert [line.split(":")[0] for line in said] == ["cell-3 pictures-lost", "cell-3 pictures-back"]
    assert all(row.image_path for row in recorder.log.find(after_seq=3))


def test_a_verdict_that_cannot_be_logged_stops_the_station(recorder: Recorder, make_inspection: MakeInspection) -> None:
    break_log(recorder.log.path)
    with pytest.raises(LogError, match="cannot log inspection"):
        recorder.record(*judged(make_inspection, 1))
    assert recorder.tally.logged == 0


def test_without_mqtt_nothing_waits_in_the_outbox_and_the_station_runs(recorder: Recorder, make_inspection: MakeInspection) -> None:
    recorder.record(*judged(make_inspection, 2))
    recorder.note("started", "now")
    assert recorder.log.outbox.depth() == 0
    assert recorder.tally.told == ("running", "")
