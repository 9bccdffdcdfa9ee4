"""Copies of a log and the rescue of a damaged one, from the command line."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from inspector.edge.log import Log
from tests.cli.test_log_verb import STATION
from tests.edge.conftest import MakeInspection
from tests.edge.conftest import make_inspection as make_inspection  # noqa: PLC0414 - a fixture
from tests.edge.disk.damage import closed_log, overwrite


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    (tmp_path / "calibration/cell-3/frames").mkdir(parents=True)
    (tmp_path / "calibration/cell-3/station.toml").write_text(STATION)
    (tmp_path / "var/cell-3").mkdir(parents=True)
    return tmp_path


def run(root: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), "log", *words])


def test_a_backup_holds_every_verdict_and_replaces_no_file(root: Path, make_inspection: MakeInspection) -> None:
    closed_log(root / "var/cell-3/inspector.db", make_inspection, 12)
    done = run(root, "backup", "cell-3", str(root / "copy.db"))
    assert done.exit_code == 0, done.output
    assert "12 verdicts up to number 12" in done.output
    with Log(root / "copy.db", "cell-3", read_only=True) as log:
        assert [row.seq for row in log.find()] == list(range(1, 13))
    again = run(root, "backup", "cell-3", str(root / "copy.db"))
    assert again.exit_code == 1
    assert "is there already" in again.output


def test_a_sound_log_is_left_alone(root: Path, make_inspection: MakeInspection) -> None:
    path = closed_log(root / "var/cell-3/inspector.db", make_inspection, 3)
    before = path.read_bytes()
    done = run(root, "salvage", "cell-3")
    assert (done.exit_code, path.read_bytes()) == (0, before)
    assert "nothing to salvage" in done.output


def test_a_damaged_log_is_set_aside_and_what_can_be_read_goes_on(root: Path, make_inspection: MakeInspection) -> None:
    path = closed_log(root / "var/cell-3/inspector.db", make_inspection, 300)
    overwrite(path, "inspections", leaves=2)
    done = run(root, "salvage", "cell-3")
    assert done.exit_code == 0, done.output
    assert "verdicts and" in done.output
    assert "the log was damaged" in done.output
    assert list(path.parent.glob("*.damaged-*Z"))
    with Log(path, "cell-3") as log:
        assert log.append(make_inspection(9000)).seq == 301


@pytest.mark.parametrize("verb", [["backup", "cell-3", "copy.db"], ["salvage", "cell-3"]])
def test_a_station_without_a_log_is_told_how_to_begin_one(root: Path, verb: list[str]) -> None:
    done = run(root, *verb)
    assert done.exit_code == 1
    assert "inspector run cell-3" in done.output


def test_a_station_that_is_named_like_a_verb_is_reached_through_show(root: Path) -> None:
    assert "calibration/salvage" in run(root, "show", "salvage").output
