"""The bench of a small station: every frame is logged and acknowledged, every stage is there, the budget decides the exit code."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from tests.conftest import Tiny
from tests.station_kit import install_tiny, write_pictures, write_station

STAGES = {"grab", "preprocess", "reports", "prefill", "pixels", "vision", "decode", "decide", "commit"}


@pytest.fixture
def root(tmp_path: Path, tiny: Tiny) -> Path:
    install_tiny(tmp_path, tiny.folder)
    settings = write_station(tmp_path)
    write_pictures(settings.folder / "frames", 3)
    return tmp_path


def bench(root: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), "bench", "s1", "--frames", "10", "--rate", "100", "--size", "160x120", *options])


def test_every_frame_is_logged_and_acknowledged_and_every_stage_is_told(root: Path) -> None:
    done = bench(root, "--json")
    assert done.exit_code == 0, done.output
    assert done.stdout.count("\n") == 1
    told: dict[str, Any] = json.loads(done.stdout)
    throttled, flat_out = told["loads"]
    for load in (throttled, flat_out):
        assert (load["frames"], load["published"]) == (10, 10)
        assert load["stages"].keys() == STAGES | {"puback"}
        assert load["to_row"]["p50_ms"] <= load["to_row"]["p95_ms"] <= load["to_row"]["max_ms"]
        assert load["to_puback"]["max_ms"] > load["to_row"]["p50_ms"]
        assert load["written_bytes"] > load["message_bytes"] > 500
    assert told["roofline"]["flops"] > 10_000_000
    assert told["start"]["again_s"] > 0
    assert told["start"]["rss_mib"] > 50


def test_without_a_broker_the_row_is_the_end(root: Path) -> None:
    told = json.loads(bench(root, "--no-broker", "--json").stdout)
    assert told["loads"][0]["published"] == 0
    assert told["loads"][0]["to_puback"] == {}
    assert told["loads"][0]["stages"].keys() == STAGES


def test_a_stage_over_its_budget_ends_with_1_and_is_named(root: Path) -> None:
    done = bench(root, "--no-broker", "--keep-budget")
    assert "budget written" in done.output
    path = root / "calibration" / "s1" / "budget.toml"
    path.write_text('size = "160x120"\nslack = 1.0\n[products]\nvision = 0.0001\n[writes]\n', encoding="utf-8")
    done = bench(root, "--no-broker")
    assert done.exit_code == 1
    assert "over budget: vision took" in done.output
    path.write_text('size = "160x120"\nslack = 1.0\n[products]\nvision = 1e9\n[writes]\n', encoding="utf-8")
    assert bench(root, "--no-broker").exit_code == 0


def test_a_budget_for_other_pictures_is_not_compared(root: Path) -> None:
    path = root / "calibration" / "s1" / "budget.toml"
    path.write_text('size = "1920x1080"\nslack = 1.0\n[products]\nvision = 0.0001\n[writes]\n', encoding="utf-8")
    done = bench(root, "--no-broker")
    assert done.exit_code == 0, done.output
    assert "budget not compared: it is for pictures of 1920x1080" in done.output


def test_a_size_that_is_none_is_refused(root: Path) -> None:
    done = CliRunner().invoke(main, ["--root", str(root), "bench", "s1", "--size", "large"])
    assert done.exit_code == 2
    assert "expected WIDTHxHEIGHT" in done.output
