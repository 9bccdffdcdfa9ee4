from pathlib import Path

import pytest

from inspector.edge.disk.soundness import check
from inspector.edge.log import Log
from inspector.errors import LogError
from tests.edge.conftest import MakeInspection
from tests.edge.disk.damage import closed_log, overwrite


def test_a_sound_log_is_sound(tmp_path: Path, make_inspection: MakeInspection) -> None:
    assert check(closed_log(tmp_path / "log.db", make_inspection, 20)).verdict == "sound"


def test_overwritten_pages_are_found(tmp_path: Path, make_inspection: MakeInspection) -> None:
    path = closed_log(tmp_path / "log.db", make_inspection, 300)
    overwrite(path, "inspections", leaves=2)
    found = check(path)
    assert found.verdict == "damaged"
    assert found.detail


@pytest.mark.parametrize("content", [b"this is no database " * 400, b"SQLite format 3\0" + b"\xff" * 9000])
def test_what_is_no_database_any_more_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "log.db").write_bytes(content)
    assert check(tmp_path / "log.db").verdict == "damaged"


def test_a_check_whose_time_is_over_says_so_and_blames_nothing(tmp_path: Path, make_inspection: MakeInspection) -> None:
    assert check(closed_log(tmp_path / "log.db", make_inspection, 2000), limit_s=0.0).verdict in {"unfinished", "sound"}


def test_a_log_that_is_in_use_can_be_checked(tmp_path: Path, make_inspection: MakeInspection) -> None:
    with Log(tmp_path / "log.db", "cell-3") as log:
        log.append(make_inspection(1))
        assert check(tmp_path / "log.db").verdict == "sound"


def test_a_file_that_cannot_be_opened_is_an_error_and_no_damage(tmp_path: Path) -> None:
    (tmp_path / "log.db").mkdir()
    with pytest.raises(LogError, match=r"log\.db: cannot check it"):
        check(tmp_path / "log.db")
