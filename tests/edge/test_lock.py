import fcntl
import os
import threading
from pathlib import Path

import pytest

from inspector.edge.lock import Holder, StationLock, lock_path, look_at_lock, mark_started
from inspector.errors import LogError


def test_the_lock_tells_from_outside_whether_a_daemon_runs_and_how_far_it_has_come(tmp_path: Path) -> None:
    database = tmp_path / "log.db"
    found = [look_at_lock(database)]
    for event in (41, 7):
        lock = StationLock(database)
        lock.acquire()
        found.append(look_at_lock(database))
        mark_started(database, event)
        found.append(look_at_lock(database))
        lock.release()
    assert found == [Holder(False, None), Holder(True, None), Holder(True, 41), Holder(True, None), Holder(True, 7)]
    assert not look_at_lock(database).is_there


def test_looking_does_not_keep_a_daemon_from_starting(tmp_path: Path) -> None:
    lock = StationLock(tmp_path / "log.db")
    handle = os.open(lock.path, os.O_RDONLY | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_SH)
    looker = threading.Timer(0.05, os.close, (handle,))
    looker.start()
    lock.acquire()
    looker.join()
    assert look_at_lock(tmp_path / "log.db").is_there
    lock.release()


def test_a_second_daemon_is_refused_and_the_first_one_keeps_its_mark(tmp_path: Path) -> None:
    first, second = StationLock(tmp_path / "log.db"), StationLock(tmp_path / "log.db")
    first.acquire()
    mark_started(tmp_path / "log.db", 5)
    with pytest.raises(LogError, match="another daemon of this station is running"):
        second.acquire()
    assert look_at_lock(tmp_path / "log.db") == Holder(True, 5)
    first.release()


def test_a_lock_that_cannot_be_read_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    path = lock_path(tmp_path / "log.db")
    path.symlink_to(path)  # root may read everything else
    with pytest.raises(LogError, match=r"log\.db\.lock: cannot be read .*; join the group"):
        look_at_lock(tmp_path / "log.db")
