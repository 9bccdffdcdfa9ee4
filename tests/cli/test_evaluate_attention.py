"""``inspector evaluate --attention`` with the tiny model, the real report encoder and reports on two lots."""

import json
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from tests.conftest import Tiny
from tests.station_kit import export_encoder_into, install_tiny_with_encoder, picture, write_station

REPORTS = """report_id,written_at,lot,label,text,product
a1,2026-01-05,L1,good,surface ok,screw
a2,2026-01-06,L1,scale,scale at the edge,screw
b1,2026-01-05,L2,good,no scale seen,screw
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, tiny: Tiny) -> Path:
    folder = tmp_path_factory.mktemp("root")
    toml = (export_encoder_into(folder / "models") / "encoder.toml").read_text(encoding="utf-8")
    install_tiny_with_encoder(folder, tiny.folder, next(line for line in toml.splitlines() if line.startswith("revision")).split('"')[1])
    write_station(folder, reports="max_reports = 2")
    rows = ["file,group,lot,taken_at"]
    for number in range(6):
        label, lot = ("scale", "L1") if number % 3 == 1 else ("good", f"L{1 + number % 2}")
        file = folder / "data" / "val" / label / f"part{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), picture(number))
        rows.append(f"val/{label}/part{number}.png,{lot},{lot},2026-02-0{number + 1}T00:00:00Z")
    (folder / "groups.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "reports.csv").write_text(REPORTS, encoding="utf-8")
    return folder


def inspector(root: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), *words], env={"STATE_DIRECTORY": ""})


def test_every_pair_is_traced_and_the_outcome_told_whatever_it_is(root: Path) -> None:
    arguments = ("evaluate", "s1", "--data", str(root / "data"), "--groups-csv", str(root / "groups.csv"), "--attention")
    early = inspector(root, *arguments)
    assert early.exit_code == 1
    assert "no reports are stored yet; inspector reports import s1" in early.stderr
    assert inspector(root, "reports", "import", "s1", str(root / "reports.csv")).exit_code == 0
    done = inspector(root, *arguments)
    assert done.exit_code == 0, done.output
    assert "foreign: a note about another machine" in done.stdout
    assert "2 groups are few" in done.stdout
    document = json.loads((root / "var" / "s1" / "evaluate" / "attention.json").read_text(encoding="utf-8"))
    for measure in ("weight", "share", "pull"):
        assert document["foreign"][measure]["n"] == document["contrary"][measure]["n"] == 6
    assert 0.0 < document["foreign"]["share"]["preference"]["value"] < 1.0
    assert document["foreign"]["pull"]["preference"] == document["foreign"]["pull"]["more"]
    assert json.loads(inspector(root, *arguments, "--json").stdout) == document
    both = inspector(root, *arguments, "--no-reports")
    assert both.exit_code == 2
    assert "give one of them" in both.stderr
