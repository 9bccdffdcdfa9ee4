import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.core.inspection import Finding, Inspection, Verdict
from inspector.core.prediction import Prediction
from inspector.edge.log import Log, database_path
from inspector.edge.messages import event_message, result_message
from inspector.edge.outbox import Message
from inspector.edge.rows import finding_rows, from_row, to_row
from inspector.edge.topics import Topics
from inspector.errors import LogError
from inspector.settings import StationSettings

Make = Callable[..., Inspection]


def to_message(inspection: Inspection) -> Message:
    return Message("t/result", str(inspection.seq).encode())


def test_an_inspection_comes_back_as_it_was_logged_with_its_number(tmp_path: Path, make_inspection: Make) -> None:
    wrote = make_inspection(disposition="fail", image_path="images/1.png", part_id="SN-1", is_simulated=True)
    with Log(tmp_path / "log.db", "cell-3") as log:
        logged = log.append(wrote, to_message)
        assert logged == replace(wrote, seq=1)
        assert log.get(wrote.inspection_id) == logged
        assert log.get("nobody") is None


def test_the_row_the_findings_and_the_message_are_written_together_or_not_at_all(tmp_path: Path, make_inspection: Make) -> None:
    def broken(_inspection: Inspection) -> Message:
        raise ValueError("no message")

    with Log(tmp_path / "log.db", "cell-3") as log:
        with pytest.raises(ValueError, match="no message"):
            log.append(make_inspection(1, disposition="fail"), broken)
        assert list(log.find()) == []
        assert log.outbox.depth() == 0
        assert log.append(make_inspection(2), to_message).seq == 1


def test_numbers_rise_by_one_without_gaps_and_messages_bear_them(tmp_path: Path, make_inspection: Make) -> None:
    with Log(tmp_path / "log.db", "cell-3") as log:
        numbers = [log.append(make_inspection(n), to_message).seq for n in range(20)]
        assert numbers == list(range(1, 21))
        assert [row.message.payload for row in log.outbox.pending(100)] == [str(n).encode() for n in numbers]
        assert log.last_seq() == 20


def test_each_station_has_its_own_numbers_and_takes_its_own_inspections_alone(tmp_path: Path, make_inspection: Make) -> None:
    with Log(tmp_path / "log.db", "cell-3") as log, Log(tmp_path / "log.db", "cell-4") as neighbour:
        assert log.append(make_inspection(1)).seq == 1
        assert neighbour.append(make_inspection(2, station="cell-4")).seq == 1
        assert log.append(make_inspection(3)).seq == 2
        with pytest.raises(ValueError, match="station 'cell-4' given to the log of station 'cell-3'"):
            log.append(make_inspection(4, station="cell-4"))


def test_a_second_append_of_the_same_id_changes_nothing_and_returns_the_logged_one(tmp_path: Path, make_inspection: Make) -> None:
    with Log(tmp_path / "log.db", "cell-3") as log:
        first = log.append(make_inspection(1), to_message)
        again = log.append(replace(make_inspection(1), frame_age_ms=999.0), to_message)
        assert again == first
        assert log.outbox.depth() == 1
        assert log.append(make_inspection(2), to_message).seq == 2


def test_two_writers_never_give_the_same_number(tmp_path: Path, make_inspection: Make) -> None:
    path = tmp_path / "log.db"
    Log(path, "cell-3").close()

    def write(start: int) -> None:
        with Log(path, "cell-3") as log:
            for number in range(start, start + 25):
                log.append(make_inspection(number), to_message)

    threads = [threading.Thread(target=write, args=(start,)) for start in (0, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Log(path, "cell-3") as log:
        assert [inspection.seq for inspection in log.find()] == list(range(1, 51))


def test_inspections_are_found_by_label_disposition_instant_and_number(tmp_path: Path, make_inspection: Make) -> None:
    kinds = ["pass", "fail", "review", "pass", "fail"]
    with Log(tmp_path / "log.db", "cell-3") as log:
        logged = [log.append(make_inspection(n, disposition=kind)) for n, kind in enumerate(kinds)]
        assert list(log.find()) == logged
        assert [i.seq for i in log.find(disposition="fail")] == [2, 5]
        assert [i.seq for i in log.find(label="dent")] == [3]
        assert [i.seq for i in log.find(since=logged[3].inspected_at)] == [4, 5]
        assert [i.seq for i in log.find(limit=2)] == [4, 5]
        assert [i.seq for i in log.find(after_seq=3)] == [4, 5]


def test_a_label_is_also_found_in_a_region_that_did_not_decide(tmp_path: Path, make_inspection: Make) -> None:
    findings = (Finding("left", "scratch", 0.9), Finding("right", "dent", 0.55, disposition="review"))
    with Log(tmp_path / "log.db", "cell-3") as log:
        log.append(make_inspection(verdict=Verdict("fail", findings, "left: scratch")))
        assert [i.label for i in log.find(label="dent")] == ["scratch"]


def test_events_are_kept_in_order_and_may_carry_a_message(tmp_path: Path, topics: Topics) -> None:
    with Log(tmp_path / "log.db", "cell-3") as log:
        log.event("camera-lost", "top: no frame for 2 s", lambda event: event_message(event, topics))
        log.event("camera-back", "top")
        assert [(event.event_id, event.kind) for event in log.events()] == [(1, "camera-lost"), (2, "camera-back")]
        assert [row.message.topic for row in log.outbox.pending(9)] == [topics.event]


def test_a_locked_log_names_the_file_and_the_cure(tmp_path: Path, make_inspection: Make) -> None:
    path = tmp_path / "log.db"
    other = sqlite3.connect(path, isolation_level=None)
    with Log(path, "cell-3", busy_timeout_ms=50) as log:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogError, match=r"log\.db: cannot log inspection .* locked: end that program"):
            log.append(make_inspection())
        other.execute("ROLLBACK")
        assert log.append(make_inspection()).seq == 1
    other.close()


def test_a_full_disk_is_told_and_what_was_logged_stays_readable(tmp_path: Path, make_inspection: Make) -> None:
    with Log(tmp_path / "log.db", "cell-3") as log:
        log.append(make_inspection(1), to_message)
        pages = log._database.conn.execute("PRAGMA page_count").fetchone()[0]
        log._database.conn.execute(f"PRAGMA max_page_count = {pages}")

        def fill() -> None:
            for number in range(2, 500):
                log.append(make_inspection(number), to_message)

        with pytest.raises(LogError, match="the disk is full: free space"):
            fill()
        numbers = [inspection.seq for inspection in log.find()]
        assert numbers == list(range(1, len(numbers) + 1))
        assert log.outbox.depth() == len(numbers)


def test_a_log_opened_to_be_read_refuses_to_be_written(tmp_path: Path, make_inspection: Make) -> None:
    path = tmp_path / "log.db"
    Log(path, "cell-3").close()
    with Log(path, "cell-3", read_only=True) as log, pytest.raises(LogError, match="may not be written"):
        log.append(make_inspection())


def test_an_instant_without_time_zone_is_refused(make_inspection: Make) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        to_row(make_inspection(captured_at=datetime(2026, 3, 1)))  # noqa: DTZ001 - the mistake under test


def station(**log: Any) -> StationSettings:
    product = {"labels": ("good", "bad"), "good": "good"}
    return StationSettings.model_validate(
        {
            "name": "cell-3",
            "folder": "/plant/calibration/cell-3",
            "products": {"p": product},
            "cameras": {"c": {"kind": "folder", "path": "frames"}},
            "log": log,
        }
    )


def test_the_database_lies_where_the_settings_systemd_or_the_root_say(tmp_path: Path) -> None:
    assert database_path(station(), tmp_path, {}) == tmp_path / "var/cell-3/inspector.db"
    assert database_path(station(), tmp_path, {"STATE_DIRECTORY": "/var/lib/inspector:/other"}) == Path("/var/lib/inspector/cell-3.db")
    assert database_path(station(path="log.db"), tmp_path, {"STATE_DIRECTORY": "/x"}) == Path("/plant/calibration/cell-3/log.db")
    assert database_path(station(path="/data/log.db"), tmp_path, {}) == Path("/data/log.db")


texts = st.text(max_size=12)
shares = st.floats(0, 1)
boxes = st.none() | st.tuples(*[st.integers(0, 9999)] * 4)
instants = st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
findings = st.builds(Finding, texts, texts, shares, boxes, st.sampled_from(["fail", "review"]))
predictions = st.builds(
    Prediction, texts, st.dictionaries(texts, shares, min_size=1, max_size=4), st.lists(texts, max_size=3).map(tuple), texts
)
verdicts = st.builds(Verdict, st.sampled_from(["pass", "fail", "review"]), st.lists(findings, max_size=3).map(tuple), texts, st.booleans())
inspections = st.builds(
    Inspection,
    inspection_id=texts,
    station=texts,
    camera=texts,
    frame_id=texts,
    product=texts,
    captured_at=instants,
    inspected_at=instants,
    frame_age_ms=st.floats(0, 1e9),
    verdict=verdicts,
    predictions=st.lists(predictions, max_size=3).map(tuple),
    timings_ms=st.dictionaries(texts, st.floats(0, 1e9), max_size=3),
    model=texts,
    seq=st.integers(1, 2**60),
    lot=st.none() | texts,
    image_path=st.none() | texts,
    is_simulated=st.booleans(),
)


@given(inspections)
def test_any_inspection_survives_the_way_to_rows_and_back(inspection: Inspection) -> None:
    assert from_row(to_row(inspection), finding_rows(inspection)) == inspection


def test_a_result_message_goes_to_the_stations_topic_and_bears_the_number(tmp_path: Path, make_inspection: Make, topics: Topics) -> None:
    with Log(tmp_path / "log.db", "cell-3") as log:
        logged = log.append(make_inspection(), lambda inspection: result_message(inspection, topics))
        (row,) = log.outbox.pending(9)
    assert row.message.topic == "inspector/v1/plant/press/line1/cell-3/result"
    assert b'"seq":1' in row.message.payload
    assert row.message.properties["id"] == logged.inspection_id
