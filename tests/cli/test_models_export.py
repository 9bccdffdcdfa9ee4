"""``inspector models export`` and the station that uses the graph."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from tests.conftest import Tiny
from tests.full_kit import write_tiny_full
from tests.station_kit import install_tiny, write_pictures, write_station

FULL = 'checkpoint = "full"\nprecision = "float32"\nthreads = 1'


@pytest.fixture
def root(tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    install_tiny(tmp_path, tiny.folder)
    write_tiny_full(tmp_path / "models" / "full")
    write_pictures(write_station(tmp_path, model=f'{FULL}\nvision = "onnx"').folder / "frames", 1)
    return tmp_path


def inspector(root: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), *words])


def test_a_station_runs_the_exported_graph_after_it_was_held_against_torch(root: Path) -> None:
    picture = str(root / "calibration" / "s1" / "frames" / "part-00.png")
    early = inspector(root, "inspect", "s1", picture)
    assert early.exit_code == 1
    assert "inspector models export makes it" in early.stderr
    done = inspector(root, "models", "export", "full")
    assert done.exit_code == 0, done.output
    assert "parity with torch: 3 slices, largest deviation" in done.stdout
    exported = json.loads(inspector(root, "inspect", "s1", picture).stdout)
    checked = inspector(root, "check", "s1")
    assert checked.exit_code == 0, checked.output
    assert "vision-16x.onnx: hashes right, 192 nodes on CPUExecutionProvider" in checked.stdout.replace("\n", "")
    write_station(root, model=FULL)
    plain = json.loads(inspector(root, "inspect", "s1", picture).stdout)
    assert exported["model"] != plain["model"]
    assert exported["label"] == plain["label"]


def test_what_cannot_be_exported_is_told(root: Path) -> None:
    assert "runs on ONNX Runtime as it is" in inspector(root, "models", "export", "tiny").stderr
    assert "there is no such model" in inspector(root, "models", "export", "nothing").stderr
