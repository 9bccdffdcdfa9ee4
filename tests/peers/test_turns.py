"""The peers' bench with contenders that need no other environment: turns, and what happens to one that cannot be built."""

import sys
from pathlib import Path

import pytest

from tests.peers.__main__ import contender
from tests.peers.table import CONTENDERS, OURS


def test_a_contender_answers_each_turn_with_its_times_and_memory(tmp_path: Path) -> None:
    with contender("classifier of the same tower, 256 px", sys.executable, tmp_path / "log") as one:
        one.turn()
        clock_ms, cpu_ms = one.median_ms
        assert clock_ms > 0
        assert cpu_ms > 0
        assert one.peak_mib > 50


def test_one_that_cannot_be_built_is_told_with_its_exit_code(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="nobody ended with exit code 1"), contender("nobody", sys.executable, tmp_path / "log"):
        pass
    assert "KeyError" in (tmp_path / "log").read_text(encoding="utf-8")


def test_ours_is_among_them_and_stands_first() -> None:
    assert next(iter(CONTENDERS)) == OURS
