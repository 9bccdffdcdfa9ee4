"""A damaged log: set aside and never deleted, its rows copied, its numbers never given twice."""

import hashlib
import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspector.core.inspection import Inspection
from inspector.edge.disk.recovery import Recovery, make_sound, suspect
from inspector.edge.disk.salvage import salvage
from inspector.edge.disk.soundness import check
from inspector.edge.lock import StationLock
from inspector.edge.log import Log
from inspector.edge.outbox import Message
from inspector.edge.schema import open_database
from inspector.errors import LogDamaged, LogError
from tests.edge.conftest import MakeInspection
from tests.edge.disk.damage import PAGE, closed_log, overwrite

COUNT = 400


def rebuilt(inspection: Inspection) -> Message:
    return Message("t", b'{"seq":%d,"again":true}' % (inspection.seq or 0))


def recovered(path: Path, known_seq: int = 0) -> Recovery:
    _, recovery = make_sound(path, "cell-3", rebuilt, known_seq=known_seq)
    assert recovery is not None
    assert recovery.rescue is not None
    return recovery


def test_a_sound_log_is_left_alone(tmp_path: Path, make_inspection: MakeInspection) -> None:
    path = closed_log(tmp_path / "log.db", make_inspection, 5)
    before = path.read_bytes()
    found, recovery = make_sound(path, "cell-3")
    assert (found.verdict, recovery) == ("sound", None)
    assert path.read_bytes() == before


def test_a_log_that_is_not_there_yet_is_no_damage(tmp_path: Path) -> None:
    assert make_sound(tmp_path / "log.db", "cell-3")[1] is None


@pytest.mark.parametrize("skip", [0, 1, -1])
def test_overwritten_pages_cost_the_rows_on_them_alone(tmp_path: Path, make_inspection: MakeInspection, skip: int) -> None:
    path = closed_log(tmp_path / "log.db", make_inspection, COUNT, published=COUNT)
    copy = tmp_path / "untouched.db"
    shutil.copy(path, copy)
    overwrite(path, "inspections", leaves=1 if skip < 0 else 3, skip=_last(copy) if skip < 0 else skip)
    hashed = hashlib.sha256(path.read_bytes()).hexdigest()
    recovery = recovered(path)
    rescue = recovery.rescue
    assert rescue is not None
    with Log(path, "cell-3") as log, Log(copy, "cell-3") as original:
        kept = {row.seq: row for row in log.find()}
        assert COUNT - 30 < len(kept) < COUNT
        assert len(kept) + rescue.lost["inspections"] == COUNT
        assert all(kept[row.seq] == row for row in original.find() if row.seq in kept)
        assert log.append(make_inspection(9999)).seq == COUNT + 1
        assert log.event("next", "").event_id == COUNT + 1
    assert check(path).verdict == "sound"
    assert hashlib.sha256(recovery.aside.read_bytes()).hexdigest() == hashed, "the damaged file is kept as it was"


def _last(path: Path) -> int:
    """Return the place of the last leaf of the table."""
    spare = path.with_name("spare.db")
    for skip in range(COUNT, 0, -1):
        shutil.copy(path, spare)
        try:
            overwrite(spare, "inspections", leaves=1, skip=skip)
        except AssertionError:
            continue
        return skip
    raise AssertionError("no leaf")


def test_every_unpublished_verdict_is_still_published_even_if_its_message_is_lost(tmp_path: Path, make_inspection: MakeInspection) -> None:
    path = closed_log(tmp_path / "log.db", make_inspection, COUNT, published=COUNT // 2)
    overwrite(path, "outbox", leaves=2)
    recovered(path)
    with Log(path, "cell-3") as log:
        rows = log.outbox.pending(COUNT)
    told = sorted(int(row.message.payload.split(b":")[1].split(b",")[0].rstrip(b"}")) for row in rows)
    assert told == list(range(COUNT // 2 + 1, COUNT + 1))
    assert 0 < sum(b"again" in row.message.payload for row in rows) < COUNT // 2
    assert min(row.row_id for row in rows) > COUNT // 2


def test_a_waiting_message_outlives_its_lost_verdict(tmp_path: Path, make_inspection: MakeInspection) -> None:
    path = closed_log(tmp_path / "log.db", make_inspection, COUNT)
    overwrite(path, "inspections", leaves=3)
    recovered(path)
    with Log(path, "cell-3") as log:
        assert log.outbox.depth() == COUNT
        rows = [row.row_id for row in log.outbox.pending(COUNT)]
        log.outbox.close(rows)
        assert log.outbox.depth() == 0


def test_a_lost_counter_goes_on_far_behind_the_highest_number_seen_anywhere(tmp_path: Path, make_inspection: MakeInspection) -> None:
    path = closed_log(tmp_path / "log.db", make_inspection, 50)
    overwrite(path, "sequences", leaves=1, skip=0)
    assert recovered(path, known_seq=77).rescue is not None
    with Log(path, "cell-3") as log:
        assert log.append(make_inspection(9999)).seq == 10_078


def test_a_log_of_which_nothing_can_be_read_begins_anew_behind_the_number_known_from_elsewhere(
    tmp_path: Path, make_inspection: MakeInspection
) -> None:
    path = closed_log(tmp_path / "log.db", make_inspection, 50)
    content = path.read_bytes()
    path.write_bytes(b"\xa5" * PAGE + content[PAGE:])
    recovery = recovered(path, known_seq=50)
    assert recovery.aside.stat().st_size == len(content)
    with Log(path, "cell-3") as log:
        assert log.append(make_inspection(9999)).seq == 10_051


def test_what_a_killed_start_had_begun_is_finished_or_thrown_away(tmp_path: Path, make_inspection: MakeInspection) -> None:
    path = closed_log(tmp_path / "log.db", make_inspection, COUNT)
    overwrite(path, "inspections", leaves=2)
    salvage(path, tmp_path / "log.db.salvaged", station="cell-3")
    (tmp_path / "log.db.salvage-part").write_bytes(b"half a copy")
    found, recovery = make_sound(path, "cell-3")
    assert recovery is not None
    assert (found.verdict, recovery.rescue) == ("sound", None)
    assert check(recovery.aside).verdict == "damaged"
    assert {file.suffix for file in tmp_path.iterdir() if "log.db" in file.name and file != path} == {".lock", recovery.aside.suffix}


def test_a_mark_lets_the_whole_file_be_checked_and_goes_when_it_is_sound(tmp_path: Path, make_inspection: MakeInspection) -> None:
    path = closed_log(tmp_path / "log.db", make_inspection, 50)
    suspect(path)
    asked: list[int] = []
    found, _ = make_sound(path, "cell-3", limit_s=0.0, before_long=lambda: asked.append(1))
    assert (found.verdict, asked) == ("sound", [1])
    assert not (tmp_path / "log.db.suspect").exists()


def test_the_log_of_a_running_daemon_is_not_touched(tmp_path: Path, make_inspection: MakeInspection) -> None:
    path = closed_log(tmp_path / "log.db", make_inspection, 5)
    lock = StationLock(path)
    lock.acquire()
    with pytest.raises(LogError, match="another daemon of this station is running"):
        make_sound(path, "cell-3")
    lock.release()


def test_an_older_logs_missing_columns_and_tables_are_no_loss(tmp_path: Path, make_inspection: MakeInspection) -> None:
    path = closed_log(tmp_path / "log.db", make_inspection, 20)
    connection = sqlite3.connect(path)
    connection.executescript(
        "DROP TABLE remembered; ALTER TABLE inspections DROP COLUMN calibration; DELETE FROM migrations WHERE number > 2"
    )
    connection.close()
    rescue = salvage(path, tmp_path / "new.db", station="cell-3")
    assert (rescue.kept["inspections"], rescue.lost) == (20, {})
    with Log(tmp_path / "new.db", "cell-3") as log:
        assert [row.seq for row in log.find()] == list(range(1, 21))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=6000)), min_size=1, max_size=6))
def test_whatever_is_overwritten_the_start_goes_on_and_no_number_is_given_twice(
    tmp_path: Path, make_inspection: MakeInspection, noise: list[tuple[int, bytes]]
) -> None:
    path, template = tmp_path / "log.db", tmp_path / "template"
    if not template.exists():
        closed_log(template, make_inspection, 60, published=10)
    for rest in tmp_path.glob("log.db*"):
        rest.unlink()
    content = bytearray(template.read_bytes())
    for place, wrong in noise:
        start = place % len(content)
        content[start : start + len(wrong)] = wrong[: len(content) - start]
    path.write_bytes(bytes(content))
    make_sound(path, "cell-3", rebuilt, known_seq=60)
    with Log(path, "cell-3") as log:
        assert (log.append(make_inspection(9999)).seq or 0) > 60


def test_a_header_with_an_unknown_schema_format_is_damage(tmp_path: Path, make_inspection: MakeInspection) -> None:
    path = tmp_path / "log.db"
    closed_log(path, make_inspection, 20)
    content = bytearray(path.read_bytes())
    content[44:48] = (99).to_bytes(4, "big")  # "schema format number", https://www.sqlite.org/fileformat.html section 1.3
    path.write_bytes(bytes(content))
    with pytest.raises(LogDamaged, match="unsupported file format"):
        open_database(path)
    make_sound(path, "cell-3", rebuilt, known_seq=20)
    with Log(path, "cell-3") as log:
        assert (log.append(make_inspection(9999)).seq or 0) > 20
