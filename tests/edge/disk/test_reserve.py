"""The reserve: space that is really held, given up on a full disk and taken again; on a real small disk where this user may mount one."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from inspector.edge.disk.reserve import Reserve
from inspector.edge.disk.room import Room
from inspector.edge.log import Log
from inspector.edge.outbox import Message
from inspector.errors import DiskFull, LogError
from inspector.settings import LogSection
from tests.edge.conftest import MakeInspection

LONG = "x" * 20_000
"""Makes a row big, so that a small disk is full soon."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB: several times the write-ahead log, whose content SQLite must be able to copy into the database."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount the small disk that this test fills")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_the_space_is_really_taken_and_really_given_back(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "log.db", 1_000_000)
    assert not reserve.path.exists()
    assert reserve.take()
    assert reserve.path.stat().st_blocks * 512 >= 1_000_000, "a hole in a file holds nothing back"
    assert reserve.is_held
    assert reserve.give_up()
    assert not reserve.give_up()
    assert not reserve.path.exists()


def test_a_reserve_of_another_length_is_made_anew_and_none_leaves_no_file(tmp_path: Path) -> None:
    assert Reserve(tmp_path / "log.db", 5000).take()
    assert Reserve(tmp_path / "log.db", 9000).take()
    assert Reserve(tmp_path / "log.db", 9000).path.stat().st_size == 9000
    assert Reserve(tmp_path / "log.db", 0).take()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_which_nothing_can_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LogError, match=r"file/log\.db\.reserve: cannot hold back log\.reserve_bytes = 5"):
        Reserve(tmp_path / "file" / "log.db", 5).take()


def test_a_disk_without_room_is_no_reserve_and_no_rest_of_one(small_disk: Path) -> None:
    reserve = Reserve(small_disk / "log.db", 50_000_000)
    assert not reserve.take()
    assert not reserve.path.exists()
    assert shutil.disk_usage(small_disk).free > 20_000_000


def rules(reserve_bytes: int) -> LogSection:
    return LogSection(min_free_bytes=0, reserve_bytes=reserve_bytes)


def fill(path: Path, make: MakeInspection) -> int:
    """Log verdicts until the disk is full; return how many were."""
    with Log(path, "cell-3") as log:
        before = log.last_seq()
        with pytest.raises(DiskFull, match="the disk is full"):
            _append_without_end(log, make)
        assert log.last_seq() == len(list(log.find(limit=10_000))), "a number that was not logged is given back"
        return log.last_seq() - before


def _fill_and_make_room(room: Room, path: Path, make: MakeInspection) -> None:
    """Go on as the daemon does; cutting the write-ahead log makes room a few times."""
    for _ in range(20):
        fill(path, make)
        room.make()


def _append_without_end(log: Log, make: MakeInspection) -> None:
    while True:
        log.append(make(log.last_seq(), source=LONG), lambda _: Message("t", b"{}"))


def test_on_a_full_disk_the_reserve_lets_pictures_go_and_judging_go_on(small_disk: Path, make_inspection: MakeInspection) -> None:
    path = small_disk / "log.db"
    room = Room(path, rules(6_000_000), Reserve(path, 6_000_000))
    assert room.secure() is None
    old = datetime.now(UTC) - timedelta(days=3)
    with Log(path, "cell-3") as log:
        for number in range(9000, 9010):
            (small_disk / f"{number}.jpg").write_bytes(b"x" * 800_000)
            log.append(make_inspection(number, image_path=f"{number}.jpg", inspected_at=old))
    count = fill(path, make_inspection)
    swept = room.make()
    assert swept.images == 10
    assert room.reserve.is_held
    with Log(path, "cell-3") as log:
        assert log.append(make_inspection(20_000, source=LONG)).seq == 10 + count + 1
        assert log.outbox.depth() == count, "what is not published never goes"


def test_without_anything_that_may_go_judging_stops_with_what_to_do_and_the_rows_stay(
    small_disk: Path, make_inspection: MakeInspection
) -> None:
    path = small_disk / "log.db"
    room = Room(path, rules(6_000_000), Reserve(path, 6_000_000))
    room.secure()
    with pytest.raises(DiskFull, match=r"nothing is left that may go.*what is not published is kept.*Free 6 MB or more"):
        _fill_and_make_room(room, path, make_inspection)
    with Log(path, "cell-3") as log:
        count = log.last_seq()
        assert log.outbox.depth() == count > 100
        log.event("stopped", "the reserve's space lets the end be logged")
        while window := log.outbox.pending(20):
            log.outbox.close([row.row_id for row in window])
        assert log.outbox.depth() == 0, "and lets published rows be closed"
    with pytest.raises(DiskFull):
        room.secure()
