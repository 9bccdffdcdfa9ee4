import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from inspector.core.inspection import Inspection
from inspector.edge.disk.checkpoint import Checkpoint
from inspector.edge.log import Log
from inspector.edge.outbox import Message
from inspector.edge.retention import StoredImage, Swept, choose, retain
from inspector.edge.retention import sweep as swept
from inspector.settings import LogSection

Make = Callable[..., Inspection]
NOW = datetime(2026, 6, 1, tzinfo=UTC)
PLENTY = 10**12


def rules(**settings: Any) -> LogSection:
    return LogSection(**{"keep_days": 90, "keep_image_days": 14, "min_free_bytes": 1000, **settings})


def image(days: float, size: int = 100) -> StoredImage:
    return StoredImage(f"id-{days}", Path(f"{days}.png"), NOW - timedelta(days=days), size)


def sweep(*arguments: Any, **settings: Any) -> tuple[int, int]:
    done = swept(*arguments, **settings)
    return done.images, done.verdicts


def to_message(_inspection: Inspection) -> Message:
    return Message("t", b"{}")


def test_old_pictures_go_and_young_ones_stay() -> None:
    assert choose([image(1), image(20), image(13)], rules(), PLENTY, NOW) == [image(20)]


def test_when_space_is_short_the_oldest_pictures_go_until_it_is_not() -> None:
    assert choose([image(1), image(2), image(3)], rules(), 850, NOW) == [image(3), image(2)]


@given(st.lists(st.floats(0, 100), max_size=20, unique=True), st.integers(0, 3000))
def test_the_younger_of_two_pictures_never_goes_first(days: list[float], free: int) -> None:
    images = [image(day) for day in days]
    chosen = choose(images, rules(), free, NOW)
    assert chosen == sorted(images, key=lambda i: i.inspected_at)[: len(chosen)]


def fill(path: Path, make: Make, count: int, *, message: Callable[[Inspection], Message] | None = None, days: float = 200) -> None:
    with Log(path, "cell-3") as log:
        for number in range(count):
            log.append(make(number, disposition="fail", inspected_at=NOW - timedelta(days=days)), message)


def test_unpublished_verdicts_never_go_and_published_ones_go_after_their_days(tmp_path: Path, make_inspection: Make) -> None:
    path = tmp_path / "log.db"
    fill(path, make_inspection, 30, message=to_message)
    assert sweep(path, rules(), NOW, free_bytes=PLENTY) == (0, 0)
    with Log(path, "cell-3") as log:
        log.outbox.close([row.row_id for row in log.outbox.pending(20)])
    assert sweep(path, rules(keep_days=300), NOW, free_bytes=PLENTY) == (0, 0)
    assert sweep(path, rules(), NOW, free_bytes=PLENTY, batch=7) == (0, 20)
    with Log(path, "cell-3") as log:
        assert [inspection.seq for inspection in log.find()] == list(range(21, 31))
        assert log._database.conn.execute("SELECT count(*) FROM findings").fetchone() == (10,)


def test_numbers_go_on_after_everything_has_been_removed(tmp_path: Path, make_inspection: Make) -> None:
    path = tmp_path / "log.db"
    fill(path, make_inspection, 5)
    assert sweep(path, rules(), NOW, free_bytes=PLENTY) == (0, 5)
    with Log(path, "cell-3") as log:
        assert log.append(make_inspection(99)).seq == 6


def test_a_removed_picture_leaves_its_verdict_and_the_log_says_that_it_is_gone(tmp_path: Path, make_inspection: Make) -> None:
    path = tmp_path / "log.db"
    for name in ("old.png", "new.png"):
        (tmp_path / name).write_bytes(b"x" * 100)
    with Log(path, "cell-3") as log:
        log.append(make_inspection(1, image_path="old.png", inspected_at=NOW - timedelta(days=20)))
        log.append(make_inspection(2, image_path=str(tmp_path / "new.png"), inspected_at=NOW - timedelta(days=2)))
        log.append(make_inspection(3, image_path="already-gone.png", inspected_at=NOW - timedelta(days=30)))
    assert sweep(path, rules(), NOW, free_bytes=PLENTY) == (2, 0)
    assert not (tmp_path / "old.png").exists()
    assert (tmp_path / "new.png").exists()
    with Log(path, "cell-3") as log:
        assert [inspection.image_path for inspection in log.find()] == [None, str(tmp_path / "new.png"), None]


def test_the_file_shrinks_when_verdicts_go(tmp_path: Path, make_inspection: Make) -> None:
    path = tmp_path / "log.db"
    fill(path, make_inspection, 800)
    with Log(path, "cell-3") as log:
        log._database.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    before = path.stat().st_size
    assert sweep(path, rules(), NOW, free_bytes=PLENTY) == (0, 800)
    assert path.stat().st_size < before / 2


def test_the_loop_tells_once_that_sweeping_fails_and_once_that_it_works_again(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.write_text("no database " * 999)
    stop, heard = threading.Event(), list[tuple[str, str | None]]()

    def hear(kind: str, fault: str | None) -> None:
        heard.append((kind, fault))
        if fault is None:
            stop.set()
        else:
            path.unlink()

    retain(path, rules(min_free_bytes=0), stop, hear, period_s=0.01)
    assert [kind for kind, _ in heard] == ["retention-failed"] * 2
    assert "not an SQLite database" in str(heard[0][1])


def test_a_stopped_loop_sweeps_no_second_time(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    heard: list[tuple[str, str | None]] = []
    retain(tmp_path / "log.db", rules(min_free_bytes=0), stop, lambda *fault: heard.append(fault))
    assert heard == []


def test_a_disk_that_stays_too_full_is_a_fault_that_names_both_numbers(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    heard: list[tuple[str, str | None]] = []
    retain(tmp_path / "log.db", rules(min_free_bytes=10**15), stop, lambda *fault: heard.append(fault))
    assert [kind for kind, _ in heard] == ["disk-low"]
    assert "log.min_free_bytes asks for 1,000,000,000 MB" in str(heard[0][1])


def test_more_pictures_than_one_batch_holds_go_in_several(tmp_path: Path, make_inspection: Make) -> None:
    path = tmp_path / "log.db"
    with Log(path, "cell-3") as log:
        for number in range(11):
            (tmp_path / f"{number}.png").write_bytes(b"x" * 100)
            log.append(make_inspection(number, image_path=f"{number}.png", inspected_at=NOW - timedelta(days=11 - number)))
    assert sweep(path, rules(min_free_bytes=1000), NOW, free_bytes=250, batch=3) == (8, 0)
    assert sorted(file.name for file in tmp_path.glob("*.png")) == ["10.png", "8.png", "9.png"]


def test_beside_a_long_reader_sweeping_goes_on_writing_goes_on_and_the_file_is_cut_when_it_ends(
    tmp_path: Path, make_inspection: Make
) -> None:
    path = tmp_path / "log.db"
    fill(path, make_inspection, 50)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM inspections").fetchone() == (50,)
    fill(path, lambda number, **changes: make_inspection(number + 100, **changes), 20)
    done = swept(path, rules(), NOW, free_bytes=PLENTY)
    assert (done.verdicts, done.checkpoint.is_blocked) == (70, True)
    assert done.checkpoint.wal_bytes > 0
    assert reader.execute("SELECT count(*) FROM inspections").fetchone() == (50,), "a reader sees one instant"
    with Log(path, "cell-3", busy_timeout_ms=0) as log:
        log.append(make_inspection(500))
    reader.execute("ROLLBACK")
    reader.close()
    done = swept(path, rules(), NOW, free_bytes=PLENTY)
    assert (done.checkpoint.is_blocked, done.checkpoint.wal_bytes) == (False, 0)


def test_a_reader_that_holds_a_long_file_is_told_with_the_way_to_find_it() -> None:
    held = Swept(0, 0, PLENTY, Checkpoint(is_blocked=True, wal_bytes=65_000_000)).mistakes(rules())
    assert "fuser" in held["wal-held"]
    assert Swept(0, 0, PLENTY, Checkpoint(is_blocked=True, wal_bytes=1_000_000)).mistakes(rules()) == {}
    assert Swept(0, 0, PLENTY, Checkpoint(is_blocked=False, wal_bytes=65_000_000)).mistakes(rules()) == {}
