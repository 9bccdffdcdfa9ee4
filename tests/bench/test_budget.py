"""A budget is told in units of the same run, so that a slow machine is not a slow program."""

from pathlib import Path

import pytest

from inspector.bench.budget import NAME, SLACK, hold, read_budget, write_budget
from inspector.bench.loads import Load
from inspector.bench.machine import spread
from inspector.bench.probes import Probes
from inspector.errors import SettingsError


def load(vision_ms: float, commit_ms: float) -> Load:
    stages = {"vision": spread([vision_ms] * 3), "commit": spread([commit_ms] * 3), "decide": spread([0.02] * 3)}
    return Load("throttled", 3, 0, 0.0, 10.0, spread([vision_ms + commit_ms]), {}, stages, 20.0, 70_000, 1000)


class Units(Probes):
    """Probes whose units are known."""

    def __init__(self, gemm_ms: float, sync_ms: float) -> None:
        self._gemm_ms, self._sync_ms = [gemm_ms], [sync_ms]


def over(folder: Path, now: Load, units: Units) -> list[str]:
    budget = read_budget(folder)
    assert budget is not None
    return [one.stage for one in hold(budget, now, units) if one.is_over]


def test_a_machine_half_as_fast_keeps_the_budget_and_a_stage_twice_as_slow_does_not(tmp_path: Path) -> None:
    write_budget(tmp_path, load(10.0, 2.0), Units(2.0, 1.0), "1920x1080", "a processor")
    assert over(tmp_path, load(10.0, 2.0), Units(2.0, 1.0)) == []
    assert over(tmp_path, load(20.0, 4.0), Units(4.0, 2.0)) == []
    assert over(tmp_path, load(20.0, 2.0), Units(2.0, 1.0)) == ["vision"]
    assert over(tmp_path, load(10.0, 8.0), Units(2.0, 1.0)) == ["commit"]


def test_the_slack_in_the_file_is_what_counts(tmp_path: Path) -> None:
    path = write_budget(tmp_path, load(10.0, 2.0), Units(2.0, 1.0), "1920x1080", "a processor")
    path.write_text(path.read_text(encoding="utf-8").replace(f"slack = {SLACK}", "slack = 3.0"), encoding="utf-8")
    assert over(tmp_path, load(20.0, 2.0), Units(2.0, 1.0)) == []


def test_a_stage_of_microseconds_is_not_over_by_a_moment_of_waiting(tmp_path: Path) -> None:
    write_budget(tmp_path, load(10.0, 2.0), Units(2.0, 1.0), "1920x1080", "a processor")
    slow = load(10.0, 2.0)
    now = Load(**{**slow.to_dict(), "stages": {**slow.stages, "decide": spread([0.9])}})  # type: ignore[arg-type]
    assert over(tmp_path, now, Units(2.0, 1.0)) == []


def test_without_a_file_there_is_no_budget_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    assert read_budget(tmp_path) is None
    for text in ("size = [", 'size = "as-is"\nslack = 2.0\n', 'size = "as-is"\nslack = 2.0\n[products]\nvision = "x"\n[writes]\n'):
        (tmp_path / NAME).write_text(text, encoding="utf-8")
        with pytest.raises(SettingsError, match=NAME):
            read_budget(tmp_path)
