"""Likely causes by what reports mean, with the real encoder, read only."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from inspector.cli import main
from inspector.training.encoder_export import ensure_onnx_encoder
from tests.assist.assist_kit import fill, judged, write_station

REPORTS = """report_id,written_at,product,lot,label,text
QC-1,2026-10-01,steel-strip,L6,surface_scratch,scratch from the coiler
QC-2,2026-10-02,steel-strip,L7,,surface scratch along the edge after the guide roller wore out
QC-3,2026-10-03,steel-strip,L7,,canteen closed on Friday
QC-4,2026-10-04,steel-strip,L7,good,surface scratch suspected but none found
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("assist")
    ensure_onnx_encoder("all-MiniLM-L6-v2", root / "models")
    write_station(root)
    (root / "qc.csv").write_text(REPORTS, encoding="utf-8")
    run(root, "reports", "import", "mill-1", str(root / "qc.csv"))
    fill(root, judged(1, "surface_scratch", "fail", lot="L7"))
    return root


def run(root: Path, *words: str) -> str:
    done = CliRunner().invoke(main, ["--root", str(root), *words], env={"STATE_DIRECTORY": ""})
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_cause_is_what_the_nearest_report_of_the_lot_says_and_other_things_are_none(root: Path) -> None:
    log = root / "var/mill-1/inspector.db"
    before = log.read_bytes()
    answer: Any = json.loads(run(root, "assist", "mill-1", "--text", "why was this part rejected", "--json"))
    assert answer["likely_cause"] == {
        "text": "surface scratch along the edge after the guide roller wore out",
        "report_ids": ["QC-2", "QC-1"],
    }
    assert all(report["similarity"] > 0.3 for report in answer["reports"])
    assert not any("label alone" in note for note in answer["notes"])
    assert log.read_bytes() == before
