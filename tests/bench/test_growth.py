"""The bench of growth on small sizes: what it compares, and that nothing is left behind."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from inspector.bench.growth import in_labels, in_regions, in_reports, label_set
from inspector.cli import main
from inspector.core.context import Context
from inspector.settings import ReportsSection
from inspector.vlm.checkpoint import open_checkpoint
from inspector.vlm.onnx_predictor import OnnxPredictor
from tests.conftest import Tiny
from tests.station_kit import install_tiny, picture, write_pictures, write_station


@pytest.mark.parametrize("size", [2, 4, 16, 64])
def test_labels_are_as_many_as_asked_and_all_different(size: int) -> None:
    assert len(set(label_set(size).names)) == size
    assert label_set(size).mistakes() == []


def test_regions_and_labels_are_measured_at_each_size(tiny: Tiny) -> None:
    predictor = OnnxPredictor(open_checkpoint(tiny.folder), threads=1)
    context = Context("screw", "ball screw", tiny.labels, (), np.zeros((0, 384), np.float32))
    regions = in_regions(predictor, picture(0), context, (1, 8), 10)
    assert (regions.of, regions.sizes) == ("regions", (1, 8))
    assert regions.factor > 1  # eight pictures are more work than one, whatever else the machine does
    assert in_labels(predictor, picture(0), context, (4, 64), 3).factor > 0


def test_a_choice_of_reports_is_measured_kept_and_anew(tmp_path: Path) -> None:
    kept, anew = in_reports(tmp_path, 16, ReportsSection(), (10, 100), 5)
    assert kept.sizes == anew.sizes == (10, 100)
    assert anew.p50_ms[1] > kept.p50_ms[1] > 0


def test_the_verb_prints_one_json_line(tmp_path: Path, tiny: Tiny) -> None:
    install_tiny(tmp_path, tiny.folder)
    write_pictures(write_station(tmp_path).folder / "frames", 2)
    sizes = ["--reports", "100", "--rows", "1000", "--size", "as-is"]
    done = CliRunner().invoke(main, ["--root", str(tmp_path), "bench", "s1", "--growth", *sizes, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [one["of"] for one in told["growth"]] == ["regions", "labels", "reports", "reports", "rows in the log"]
    assert list((tmp_path / "var").iterdir()) == []
