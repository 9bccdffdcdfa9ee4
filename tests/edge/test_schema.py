import sqlite3
import threading
from pathlib import Path

import pytest

from inspector.edge import schema
from inspector.edge.schema import migrations, open_database, version
from inspector.errors import LogError


def test_a_new_log_survives_power_cuts_and_can_shrink(tmp_path: Path) -> None:
    database = open_database(tmp_path / "sub/folder/log.db")
    modes = {
        name: database.conn.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "auto_vacuum", "foreign_keys")
    }
    assert modes == {"journal_mode": "wal", "synchronous": 2, "auto_vacuum": 2, "foreign_keys": 1}
    assert version(database) == len(migrations())
    database.close()


def test_every_migration_is_recorded_once_however_often_the_log_is_opened(tmp_path: Path) -> None:
    for _ in range(2):
        open_database(tmp_path / "log.db").close()
    database = open_database(tmp_path / "log.db")
    numbers = [row[0] for row in database.conn.execute("SELECT number FROM migrations ORDER BY number")]
    assert numbers == [migration.number for migration in migrations()] == list(range(1, len(numbers) + 1))
    database.close()


def test_threads_that_open_a_new_log_at_once_migrate_it_once(tmp_path: Path) -> None:
    faults: list[BaseException] = []

    def open_it() -> None:
        try:
            open_database(tmp_path / "log.db").close()
        except LogError as error:
            faults.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    database = open_database(tmp_path / "log.db")
    broken = schema.Migration(99, "broken", ("CREATE TABLE half (a)", "CREATE TABLE half (a)"))
    with pytest.raises(sqlite3.OperationalError):
        schema._apply(database, broken)
    assert version(database) == len(migrations())
    assert not database.table("half").exists()
    database.close()


def test_a_log_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    database = open_database(tmp_path / "log.db")
    database.conn.execute("INSERT INTO migrations VALUES (1000, 'from the future', '2030-01-01')")
    database.close()
    with pytest.raises(LogError, match=r"log\.db: the log has version 1000, this program knows versions up to \d+; install the newer"):
        open_database(tmp_path / "log.db")


def test_a_log_of_an_older_version_is_not_read_before_the_daemon_has_updated_it(tmp_path: Path) -> None:
    database = open_database(tmp_path / "log.db")
    database.conn.execute("DELETE FROM migrations WHERE number > 1")
    database.close()
    with pytest.raises(LogError, match="start the daemon once"):
        open_database(tmp_path / "log.db", read_only=True)


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "log.db")
    other.execute("CREATE TABLE songs (title)")
    other.close()
    with pytest.raises(LogError, match="belongs to another program"):
        open_database(tmp_path / "log.db")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.db").write_text("not a database at all, " * 99)
    with pytest.raises(LogError, match=r"not an SQLite database: set log\.path to another file"):
        open_database(tmp_path / "log.db")


def test_a_damaged_log_is_told_as_damaged(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    open_database(path).close()
    content = bytearray(path.read_bytes())
    content[4096 : 4096 * 2] = b"\xff" * 4096
    content[100:200] = b"\xff" * 100
    path.write_bytes(content)
    with pytest.raises(LogError, match=r"damaged|not an SQLite"):
        open_database(path)


def test_a_folder_in_the_logs_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.db").mkdir()
    with pytest.raises(LogError, match="cannot open the log"):
        open_database(tmp_path / "log.db")


def test_a_file_in_the_place_of_the_logs_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file")
    with pytest.raises(LogError, match="cannot open the log"):
        open_database(tmp_path / "var/log.db")


def test_a_missing_log_is_not_created_by_a_reader(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="cannot be opened"):
        open_database(tmp_path / "log.db", read_only=True)
    assert not (tmp_path / "log.db").exists()


def test_a_locked_new_log_is_told_as_locked(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LogError, match="locked: end that program"):
        open_database(path, busy_timeout_ms=50)
    other.close()


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("SELECT * FROM inspections WHERE station = 's' AND inspected_at >= '2026'", "inspections_by_time"),
        ("SELECT * FROM findings WHERE inspection_id = 'i'", "findings_by_inspection"),
        ("SELECT * FROM reports WHERE product = 'p' AND station = 's' AND lot = 'l' ORDER BY written_at DESC", "reports_by_context"),
        ("SELECT * FROM inspections WHERE image_path IS NOT NULL ORDER BY inspected_at", "inspections_with_image"),
    ],
)
def test_frequent_queries_use_an_index(tmp_path: Path, query: str, index: str) -> None:
    database = open_database(tmp_path / "log.db")
    plan = " ".join(str(row) for row in database.conn.execute("EXPLAIN QUERY PLAN " + query))
    database.close()
    assert index in plan


def test_the_switch_to_the_write_ahead_log_waits_for_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    open_database(path).close()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA journal_mode = DELETE").fetchall()
    other.execute("BEGIN")
    other.execute("SELECT * FROM migrations").fetchall()
    ends = threading.Timer(0.3, other.execute, ["COMMIT"])
    ends.start()
    database = open_database(path)
    assert database.conn.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    database.close()
    ends.join()
    other.close()


def test_a_log_that_another_process_is_creating_is_not_taken_for_a_foreign_one(tmp_path: Path) -> None:
    faults: list[BaseException] = []

    def open_many() -> None:
        for number in range(30):
            try:
                open_database(tmp_path / f"{number}.db").close()
            except LogError as error:
                faults.append(error)

    threads = [threading.Thread(target=open_many) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
