"""The log's bench on a small log: what it fills and what it counts."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from inspector.bench.log import bench_log, fill
from inspector.cli import main
from inspector.edge.log import Log
from inspector.errors import LogError


def test_the_filled_log_is_a_log_with_numbers_without_gaps(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    fill(tmp_path / "full.db", 1003, lambda *now: told.append(now))
    with Log(tmp_path / "full.db", "bench") as log:
        rows = list(log.find())
        assert [row.seq for row in rows] == list(range(1, 1004))
        assert len({row.inspection_id for row in rows}) == 1003
        assert log.outbox.depth() == 0
        assert [f.label for row in rows if row.verdict.disposition == "fail" for f in row.verdict.findings].count("scratch") >= 100
    assert told[-1] == (1003, 1003)


def test_both_logs_are_measured_and_nothing_is_left_behind(tmp_path: Path) -> None:
    empty, full = bench_log(tmp_path, 2000, 100)
    assert (empty.rows, full.rows, empty.cycles, full.cycles) == (0, 2000, 100, 100)
    assert 0 < empty.commit_p50_ms <= empty.commit_p99_ms
    assert 0 < full.close_p50_ms <= full.close_p99_ms
    assert full.row_bytes > 500
    assert list(tmp_path.iterdir()) == []


def test_too_many_rows_for_the_disk_are_refused_with_what_they_need(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"need about .* GB of free space"):
        bench_log(tmp_path, 10**12, 100)


def test_the_verb_prints_one_json_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--root", str(tmp_path), "bench", "--log", "--rows", "1000", "--json"])
    assert done.exit_code == 0, done.output
    assert done.stdout.count("\n") == 1
    assert '"rows": 1000' in done.stdout
