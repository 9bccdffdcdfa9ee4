import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from inspector.cli.log import Instant
from inspector.core.inspection import Finding, Inspection, Verdict
from inspector.core.prediction import Prediction
from inspector.edge.json_schemas import schema_files
from inspector.edge.log import Log

STATION = """
[products.bracket]
labels = ["good", "scratch", "dent"]
good = "good"
[cameras.top]
kind = "folder"
path = "frames"
"""

Run = Callable[..., Result]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    (tmp_path / "calibration/cell-3/frames").mkdir(parents=True)
    (tmp_path / "calibration/cell-3/station.toml").write_text(STATION)
    return tmp_path


@pytest.fixture
def run(root: Path) -> Run:
    return lambda *words: CliRunner(env={"COLUMNS": "180"}).invoke(main, ["--root", str(root), "log", *words])


def judged(number: int, label: str = "good", *, minutes_ago: float = 5, reason: str = "") -> Inspection:
    instant = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    disposition: Any = "pass" if label == "good" else "fail"
    findings = () if label == "good" else (Finding("frame", label, 0.9),)
    prediction = Prediction("frame", {"good": 0.05, "scratch": 0.03, "dent": 0.02} | {label: 0.9}, ("QC-1",), "m@1")
    verdict = Verdict(disposition, findings, reason or f"frame: {label} 0.90")
    return Inspection(f"id-{number}", "cell-3", "top", f"f{number}", "bracket", instant, instant, 80.0, verdict, (prediction,))


def fill(root: Path, *inspections: Inspection) -> None:
    with Log(root / "var/cell-3/inspector.db", "cell-3") as log:
        for inspection in inspections:
            log.append(inspection)


def test_a_station_that_has_never_run_is_told_how_to_begin(run: Run) -> None:
    result = run("cell-3")
    assert result.exit_code == 1
    assert "has no log yet; it begins with the first start: inspector run cell-3" in result.output


def test_an_empty_log_is_told_as_empty_and_is_no_error(run: Run, root: Path) -> None:
    fill(root)
    result = run("cell-3")
    assert result.exit_code == 0
    assert "nothing has been judged yet" in result.output


def test_the_table_shows_each_verdict_with_its_reason(run: Run, root: Path) -> None:
    fill(root, judged(1), judged(2, "scratch", reason="left [edge]: scratch 0.90"))
    result = run("cell-3")
    assert result.exit_code == 0
    for text in ("seq", "pass", "fail", "scratch", "left [edge]: scratch 0.90"):
        assert text in result.output


def test_json_lines_are_the_messages_and_valid_against_the_schema(run: Run, root: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    fill(root, judged(1), judged(2, "scratch"))
    lines = [json.loads(line) for line in run("cell-3", "--json").output.splitlines()]
    assert [line["seq"] for line in lines] == [1, 2]
    for line in lines:
        jsonschema.validate(line, json.loads(schema_files()["result.schema.json"]))


def test_conditions_choose_verdicts(run: Run, root: Path) -> None:
    fill(root, judged(1, minutes_ago=200), judged(2, "scratch"), judged(3, "dent"), judged(4))

    def numbers(*words: str) -> list[int]:
        return [json.loads(line)["seq"] for line in run("cell-3", "--json", *words).output.splitlines()]

    assert numbers("--label", "dent") == [3]
    assert numbers("--disposition", "fail") == [2, 3]
    assert numbers("--since", "2h") == [2, 3, 4]
    assert numbers("--limit", "2") == [3, 4]
    assert numbers("--since", "2000-01-01") == [1, 2, 3, 4]
    assert numbers("--label", "rust") == []


def test_conditions_that_nothing_meets_are_told_from_an_empty_log(run: Run, root: Path) -> None:
    fill(root, judged(1))
    assert (
        "Nothing in the log of station 'cell-3' meets these conditions; its last verdict has number 1"
        in run("cell-3", "--label", "x").output
    )


def test_a_station_without_settings_is_an_error(run: Run) -> None:
    result = run("cell-9")
    assert result.exit_code == 1
    assert "cell-9" in result.output


@pytest.mark.parametrize("text", ["yesterday", "2h30", "-1h", "2026-13-01", ""])
def test_an_instant_that_cannot_be_understood_is_refused_with_examples(run: Run, text: str) -> None:
    result = run("cell-3", "--since", text)
    assert result.exit_code == 2
    assert "2026-01-31" in result.output


def test_a_span_before_the_beginning_of_time_is_refused(run: Run) -> None:
    assert run("cell-3", "--since", "999999999d").exit_code == 2


def test_instants_without_a_zone_are_utc() -> None:
    convert = Instant().convert
    assert convert("2026-01-31T14:00", None, None) == datetime(2026, 1, 31, 14, tzinfo=UTC)
    assert convert("2026-01-31T14:00+02:00", None, None) == datetime(2026, 1, 31, 12, tzinfo=UTC)
    with pytest.raises(click.BadParameter):
        convert("noon", None, None)


def test_following_shows_what_comes_later_and_nothing_old_twice(root: Path) -> None:
    fill(root, judged(1, minutes_ago=200))
    command = [
        sys.executable,
        "-c",
        "from inspector.cli import main; main()",
        "--root",
        str(root),
        "log",
        "cell-3",
        "--json",
        "--follow",
        "--since",
        "2h",
    ]
    fill(root, judged(2))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        assert json.loads(follower.stdout.readline())["seq"] == 2
        fill(root, judged(3, "dent"))
        assert json.loads(follower.stdout.readline())["seq"] == 3
        follower.kill()
