"""``inspector reports`` from file to answer, with the real encoder."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from inspector.training.encoder_export import ensure_onnx_encoder

STATION = """
[products.strip]
labels = ["scratch", "ash"]
description = "steel strip"
[cameras.line]
kind = "folder"
path = "frames"
[reports]
columns = { text = "finding" }
"""
ROWS = """report_id,written_at,lot,finding
a1,2026-11-20 14:00,L7,slag lump near the edge
a2,2026-11-21,L7,划痕 30 毫米
a3,soon,L7,no date
a4,2026-11-22,,thin line scratched into surface
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root") / "models"
    ensure_onnx_encoder("all-MiniLM-L6-v2", folder)
    return folder


@pytest.fixture
def root(tmp_path: Path, models: Path) -> Path:
    (tmp_path / "calibration" / "s1").mkdir(parents=True)
    (tmp_path / "calibration" / "s1" / "station.toml").write_text(STATION, encoding="utf-8")
    (tmp_path / "models").symlink_to(models)
    (tmp_path / "a.csv").write_text(ROWS, encoding="utf-8")
    return tmp_path


def reports(root: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), "reports", *words], env={**os.environ, "COLUMNS": "200", "STATE_DIRECTORY": ""})


def test_good_rows_are_imported_and_bad_ones_told_with_file_line_and_reason(root: Path) -> None:
    result = reports(root, "import", "s1", str(root / "a.csv"))
    assert result.exit_code == 0
    assert f"{root / 'a.csv'}:4: written_at 'soon' is no date" in result.stderr
    assert "3 reports stored" in result.stdout


def test_importing_again_adds_nothing_and_still_succeeds(root: Path) -> None:
    reports(root, "import", "s1", str(root / "a.csv"))
    result = reports(root, "import", "s1", str(root / "a.csv"))
    assert result.exit_code == 0
    assert "3 reports stored" in result.stdout


def test_a_changed_report_is_told_and_the_stored_one_kept(root: Path) -> None:
    reports(root, "import", "s1", str(root / "a.csv"))
    (root / "b.csv").write_text("report_id,written_at,finding\na1,2026-11-20,other\n", encoding="utf-8")
    result = reports(root, "import", "s1", str(root / "b.csv"))
    assert result.exit_code == 1
    assert "'a1' is stored already with another content" in result.stderr


def test_an_import_without_a_usable_row_fails(root: Path) -> None:
    result = reports(root, "import", "s1", str(root / "absent.csv"))
    assert result.exit_code == 1
    assert "No such file" in result.stderr
    assert "error: no report could be imported" in result.stderr


def test_search_finds_by_meaning_and_by_word_and_list_by_lot(root: Path) -> None:
    reports(root, "import", "s1", str(root / "a.csv"))
    meant = [json.loads(line) for line in reports(root, "search", "s1", "the surface has a scratch", "--json").stdout.splitlines()]
    assert meant[0]["report_id"] == "a4"
    said = [json.loads(line) for line in reports(root, "search", "s1", "划痕", "--json", "--limit", "1").stdout.splitlines()]
    assert [(row["report_id"], row["text"]) for row in said] == [("a2", "划痕 30 毫米")]
    listed = [json.loads(line) for line in reports(root, "list", "s1", "--lot", "L7", "--json").stdout.splitlines()]
    assert [row["report_id"] for row in listed] == ["a2", "a1"]
    assert "slag lump near the edge" in reports(root, "list", "s1").stdout


def test_a_station_without_reports_says_how_to_import_some_and_gets_no_log_by_being_asked(root: Path) -> None:
    for words in (("list", "s1"), ("search", "s1", "pit")):
        result = reports(root, *words)
        assert (result.exit_code, result.stdout) == (0, "no reports yet; import some with: inspector reports import s1 FILE...\n")
    assert not (root / "var").exists()


def test_prepare_makes_the_encoder_ready(root: Path) -> None:
    result = reports(root, "prepare", "s1")
    assert result.exit_code == 0
    assert "report encoder ready" in result.stdout
