import sqlite3
import threading
from pathlib import Path

import pytest

from inspector.edge.disk.backup import back_up
from inspector.edge.disk.soundness import check
from inspector.edge.log import Log
from inspector.errors import LogError
from tests.edge.conftest import MakeInspection
from tests.edge.disk.damage import closed_log, overwrite


def test_a_copy_taken_beside_a_working_daemon_is_one_instant_of_the_log(tmp_path: Path, make_inspection: MakeInspection) -> None:
    path, stop, written = closed_log(tmp_path / "log.db", make_inspection, 300), threading.Event(), list[int]()

    def work() -> None:
        with Log(path, "cell-3") as log:
            for number in range(1000, 3000):
                if stop.is_set():
                    return
                written.append(log.append(make_inspection(number)).seq or 0)

    worker, heard = threading.Thread(target=work), list[tuple[int, int]]()
    with Log(path, "cell-3") as log:
        log.append(make_inspection(999))  # something that only the write-ahead log holds
    worker.start()
    done = back_up(path, tmp_path / "backup" / "copy.db", lambda *pages: heard.append(pages))
    stop.set()
    worker.join()
    assert written
    assert done.verdicts == done.last_seq >= 301
    assert heard[-1][0] == heard[-1][1]
    assert [file.name for file in (tmp_path / "backup").iterdir()] == ["copy.db"]
    copy = sqlite3.connect(done.path)
    assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert copy.execute("SELECT count(*), max(seq) FROM inspections").fetchone() == (done.verdicts, done.last_seq)
    copy.close()


def test_a_backup_never_replaces_a_file(tmp_path: Path, make_inspection: MakeInspection) -> None:
    path = closed_log(tmp_path / "log.db", make_inspection, 3)
    (tmp_path / "copy.db").write_text("precious")
    with pytest.raises(LogError, match="a backup never replaces a file"):
        back_up(path, tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "precious"


def test_a_damaged_log_gives_no_backup_that_looks_sound(tmp_path: Path, make_inspection: MakeInspection) -> None:
    path = closed_log(tmp_path / "log.db", make_inspection, 300)
    overwrite(path, "findings", leaves=2)
    assert check(path).verdict == "damaged"
    with pytest.raises(LogError, match="its copy is damaged"):
        back_up(path, tmp_path / "copy.db")
    assert not list(tmp_path.glob("copy*"))
